package config

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/nearest"
	"pgvault/vault/store/address"
)

// minLimit is the lowest rate: below it, connections would be taken for dead.
const minLimit = 16 << 10

// DefaultReadBack is how often the copies in a place are read back whole
// where the file does not say: on a disk each one, which costs nothing;
// elsewhere weekly, as traffic out of a cloud is paid for, and what arrived
// there was compared with a checksum when the copy was made.
func DefaultReadBack(a address.Address) string {
	if a.Scheme == address.File {
		return "each"
	}
	return "weekly"
}

func (l *loader) checkPlaces(list []Place, base string) {
	names := map[string]bool{}
	var seen []address.Address
	for i, pl := range list {
		pName, pURL := sub(index(base, i), "name"), sub(index(base, i), "url")
		switch {
		case pl.Name == "":
			l.at(pName, "a place without a name")
		case !plainName.MatchString(pl.Name):
			l.at(pName, "place name %.60q: 1 to 63 letters, digits, dots, _ and -, not beginning with a dot or -", l.raw[pName])
		case names[pl.Name]:
			l.at(pName, "the place %.60q comes twice", l.raw[pName])
		}
		names[pl.Name] = true
		a, err := address.Parse(pl.URL)
		switch {
		case err != nil && l.raw[pURL] != pl.URL:
			l.at(pURL, "url %.80q: with its variables it is not the address of a place: %s", l.raw[pURL], address.Forms)
		case err != nil:
			l.at(pURL, "url: %s; %s", fault.As(err).Why, lower(fault.As(err).Do))
		case slices.ContainsFunc(seen, func(b address.Address) bool { return address.Same(a, b) }):
			l.at(pURL, "two places have the address of url %.80q", l.raw[pURL])
		default:
			seen = append(seen, a)
		}
		if err == nil {
			l.checkPlaceOptions(&list[i], a, index(base, i))
		}
	}
}

// lower makes a remedy the end of a sentence.
func lower(do string) string {
	return strings.TrimSuffix(strings.ToLower(do[:1])+do[1:], ".")
}

// CheckPlace checks a place that is not in a file as one that is, and makes
// the name of a file in it absolute. Errors are *fault.Error with the code
// Usage.
func CheckPlace(p Place) (Place, error) {
	name := p.Name
	p.Name = "place"
	l := &loader{raw: map[string]string{}}
	for key, value := range map[string]string{"url": p.URL, "credentials": p.Credentials} {
		l.raw[sub(index("", 0), key)] = value
	}
	list := []Place{p}
	l.checkPlaces(list, "")
	if len(l.problems) > 0 {
		return p, &fault.Error{Op: "place", Code: fault.Usage, What: "this place cannot be used", Why: l.problems[0].text, Left: "nothing was started", Do: "write it as config.toml.example shows"}
	}
	p = list[0]
	p.Name = name
	if path, ok := strings.CutPrefix(p.Credentials, "file:"); ok {
		abs, err := filepath.Abs(path)
		if err != nil {
			return p, err
		}
		p.Credentials = "file:" + abs
	}
	return p, nil
}

// checkPlaceOptions looks at what belongs to some kinds only.
func (l *loader) checkPlaceOptions(p *Place, a address.Address, base string) {
	cloud := a.Scheme == address.S3 || a.Scheme == address.GCS || a.Scheme == address.Azure
	if p.Credentials != "" {
		l.checkCredentials(p, a.Scheme, sub(base, "credentials"))
	}
	if p.ObjectLock > 0 && !cloud {
		l.at(sub(base, "object_lock"), "object_lock: %s: cannot lock objects; s3:, gs: and azblob: can", a.Scheme)
	}
	if p.MinFree > 0 && cloud {
		l.at(sub(base, "min_free"), "min_free: %s: does not tell how much is free; file: and sftp: do", a.Scheme)
	}
	if pLimit := sub(base, "limit"); p.Limit > 0 && p.Limit < minLimit {
		l.at(pLimit, "limit = %.60q: it must be at least %s", l.raw[pLimit], address.FormatRate(minLimit))
	}
	if p.ReadBack != "" {
		l.oneOf(sub(base, "read_back"), p.ReadBack, "each", "weekly", "never")
	}
}

// checkCredentials looks at where credentials are said to come from, and
// makes a file's name absolute.
func (l *loader) checkCredentials(p *Place, scheme, path string) {
	if err := address.CheckCredentials(scheme, p.Credentials); err != nil {
		l.at(path, "credentials: %s", fault.As(err).Why)
		return
	}
	if name, ok := strings.CutPrefix(p.Credentials, "file:"); ok {
		l.absolute(&name)
		p.Credentials = "file:" + filepath.Clean(name)
	}
}

// checkCopies: whoever names a place must name one that is there, once.
func (l *loader) checkCopies(c *Config) {
	var known []string
	for _, p := range c.Places {
		known = append(known, p.Name)
	}
	check := func(copies []string, path string) {
		if copies != nil && len(copies) == 0 {
			l.at(path, "copies is empty: an archive must lie somewhere")
		}
		for i, name := range copies {
			p := index(path, i)
			switch {
			case slices.Index(copies, name) < i:
				l.at(p, "copies names the place %.60q twice", l.raw[p])
			case len(known) == 0:
				l.at(p, "copies names the place %.60q, and there is no [[place]]", l.raw[p])
			case !slices.Contains(known, name) && l.raw[p] != name:
				l.at(p, "copies: %.60q is the name of no place; %s", l.raw[p], "known here: "+strings.Join(known, ", "))
			case !slices.Contains(known, name):
				l.at(p, "copies: %.60q is the name of no place; %s", l.raw[p], nearest.Hint(name, known))
			}
		}
	}
	check(c.Defaults.Copies, sub(sub("", "defaults"), "copies"))
	for i, d := range c.Databases {
		check(d.Copies, sub(index(sub("", "database"), i), "copies"))
	}
}

// placesOf are the places that the environment names: BACKUP_DIR as "disk",
// S3_BACKUP_BUCKET as "s3".
func (l *loader) placesOf(get func(string) string) (out []Place) {
	if dir := get("BACKUP_DIR"); dir != "" {
		if strings.HasPrefix(dir, "/") {
			dir = (&url.URL{Scheme: "file", OmitHost: true, Path: dir}).String()
		}
		if a, err := address.Parse(dir); err != nil || a.Scheme != address.File {
			l.problem(noFile, "the environment variable BACKUP_DIR is neither an absolute path nor file:/path/to/folder")
		}
		out = append(out, Place{Name: "disk", URL: dir})
	}
	if bucket := get("S3_BACKUP_BUCKET"); bucket != "" {
		out = append(out, Place{Name: "s3", URL: l.bucketOf(bucket, get)})
	}
	return out
}

// bucketOf makes the address of S3_BACKUP_BUCKET: BUCKET, BUCKET/PREFIX or a
// whole s3://, to which AWS_REGION and AWS_ENDPOINT_URL are added. Another
// service than Amazon's is asked with the bucket in the path, which all know.
func (l *loader) bucketOf(bucket string, get func(string) string) string {
	if !address.HasScheme(bucket) {
		bucket = "s3://" + bucket
	}
	a, err := address.Parse(bucket)
	if err != nil || a.Scheme != address.S3 {
		l.problem(noFile, "the environment variable S3_BACKUP_BUCKET is neither BUCKET nor BUCKET/PREFIX: %s", reason(err, "it is no place of S3"))
		return bucket
	}
	if region := get("AWS_REGION"); a.Region == "" && region != "" {
		a.Region = region
		if _, err := address.Parse(a.String()); err != nil {
			l.problem(noFile, "the environment variable AWS_REGION is not the name of a region")
			return bucket
		}
	}
	endpoint := get("AWS_ENDPOINT_URL_S3")
	if endpoint == "" {
		endpoint = get("AWS_ENDPOINT_URL")
	}
	if a.Endpoint == "" && endpoint != "" {
		a.Endpoint, a.PathStyle = endpoint, true
		if _, err := address.Parse(a.String()); err != nil {
			l.problem(noFile, "the environment variable AWS_ENDPOINT_URL cannot be used: %s", reason(err, ""))
			return bucket
		}
	}
	return a.String()
}

func reason(err error, other string) string {
	if err != nil {
		return fault.As(err).Why
	}
	return other
}
