package address

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/nearest"
	"pgvault/vault/store/remote"
)

// rule is how names of one kind are made.
type rule struct {
	form *regexp.Regexp
	not  *regexp.Regexp // nil: nothing more is forbidden
	say  string
}

// The rules of the services for names:
// docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html,
// cloud.google.com/storage/docs/buckets#naming,
// learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata.
var (
	bucketS3 = rule{regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`), regexp.MustCompile(`\.\.|^(xn--|sthree-|amzn-s3-demo-)`),
		"3 to 63 small letters, digits, dots and hyphens, beginning and ending with a letter or digit"}
	bucketGCS = rule{regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{1,220}[a-z0-9]$`), regexp.MustCompile(`\.\.|^goog|google|[^.]{64}`),
		"3 to 63 small letters, digits, hyphens, underscores and dots, beginning and ending with a letter or digit, without google"}
	accountAzure   = rule{regexp.MustCompile(`^[a-z0-9]{3,24}$`), nil, "3 to 24 small letters and digits"}
	containerAzure = rule{regexp.MustCompile(`^[a-z0-9](-?[a-z0-9]){2,62}$`), nil,
		"3 to 63 small letters, digits and single hyphens, beginning and ending with a letter or digit"}
)

// rule checks the name of a bucket, a container or an account.
func (p *parser) rule(name, what string, r rule) {
	short := len(name) < 3 || len(name) > 63 && (p.kind != GCS || len(name) > 222)
	_, ip := netip.ParseAddr(name)
	if short || ip == nil || !r.form.MatchString(name) || r.not != nil && r.not.MatchString(name) {
		p.bad(fmt.Sprintf("no %s can have this name: %s", what, r.say), "%s", p.form)
	}
}

var (
	plainUser  = regexp.MustCompile(`^[A-Za-z0-9_.][A-Za-z0-9_.+\\$-]*$`)
	hostName   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})$`)
	regionForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	optionForm = regexp.MustCompile(`^[A-Za-z_]{1,24}$`)
	likeSecret = regexp.MustCompile(`(?i)key|secret|pass|token|cred|^sig$|signature|^se$|^sv$|^sas$|auth`)
)

// plainHost tells whether a host is a name or an address; in brackets an
// address of IPv6.
func plainHost(host string, brackets bool) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Is6() == brackets && a.Zone() == ""
	}
	return !brackets && hostName.MatchString(host)
}

// options reads what follows the ?.
func (p *parser) options(query string, known ...string) map[string]string {
	out := map[string]string{}
	if query == "" {
		return out
	}
	for part := range strings.SplitSeq(query, "&") {
		rawKey, rawValue, given := strings.Cut(part, "=")
		key, kerr := url.QueryUnescape(rawKey)
		value, verr := url.QueryUnescape(rawValue)
		_, twice := out[key]
		switch {
		case kerr != nil || verr != nil:
			p.bad("an option is not written as a URL's is", "write odd characters as %%XX")
		case slices.Contains(known, key) && twice:
			p.bad(fmt.Sprintf("the option %s comes twice", key), "leave one of them out")
		case slices.Contains(known, key) && (!given || value == ""):
			p.bad(fmt.Sprintf("the option %s has no value", key), "give it one, or leave it out")
		case slices.Contains(known, key):
			out[key] = value
		case likeSecret.MatchString(key):
			p.secret()
		default:
			p.unknown(key, known)
		}
	}
	return out
}

func (p *parser) unknown(key string, known []string) {
	if !optionForm.MatchString(key) {
		key = "…" // no option: it may be anything
	}
	hint := p.kind + ": has no options"
	if len(known) > 0 {
		hint = nearest.Hint(key, known)
	}
	p.bad(fmt.Sprintf("unknown option %q; %s", key, hint), "correct it, or leave it out")
}

func (p *parser) region(o map[string]string) string {
	r, given := o["region"]
	if given && !regionForm.MatchString(r) {
		p.bad("region is not the name of a region", "write it like region=eu-central-1")
	}
	return r
}

// endpoint reads the URL of a service; a slash at its end says nothing.
func (p *parser) endpoint(o map[string]string) string {
	e, given := o["endpoint"]
	if !given || p.err != nil {
		return ""
	}
	if err := remote.CheckEndpoint(e); err != nil {
		f := fault.As(err)
		p.bad("its endpoint: "+f.Why, "%s", f.Do)
	}
	return strings.TrimRight(e, "/")
}
