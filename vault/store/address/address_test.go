package address

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pgvault/fault"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text, again string // again: as String writes it; empty: the same
		want        Address
	}{
		{"file:/backup", "", Address{Scheme: File, Path: "/backup"}},
		{"file:///back%20up/%3F/", "file:/back%20up/%3F", Address{Scheme: File, Path: "/back up/?"}},
		{"FILE://localhost/x/../b", "file:/b", Address{Scheme: File, Path: "/b"}},
		{"s3://acme-pgbackup/main?region=eu-central-1", "", Address{Scheme: S3, Bucket: "acme-pgbackup", Prefix: "main", Region: "eu-central-1"}},
		{"s3://b.c/", "s3://b.c", Address{Scheme: S3, Bucket: "b.c"}},
		{"s3://abc/a/b/?max_parts=1000&part_size=67108864B&path_style=true&endpoint=https%3A%2F%2F127.0.0.1%3A7070/",
			"s3://abc/a/b?endpoint=https://127.0.0.1:7070&path_style=true&part_size=64MiB&max_parts=1000",
			Address{Scheme: S3, Bucket: "abc", Prefix: "a/b", Endpoint: "https://127.0.0.1:7070", PathStyle: true, PartSize: 64 << 20, MaxParts: 1000}},
		{"s3://abc?endpoint=http://[::1]:9000&path_style=false", "s3://abc?endpoint=http://[::1]:9000", Address{Scheme: S3, Bucket: "abc", Endpoint: "http://[::1]:9000"}},
		{"gs://a_b/x%20y", "", Address{Scheme: GCS, Bucket: "a_b", Prefix: "x y"}},
		{"azblob://account1/cont-1/p/q?endpoint=http://localhost:10000/account1", "",
			Address{Scheme: Azure, Account: "account1", Bucket: "cont-1", Prefix: "p/q", Endpoint: "http://localhost:10000/account1"}},
		{"sftp://pgvault@nas/pg", "", Address{Scheme: SFTP, User: "pgvault", Host: "nas", Path: "/pg"}},
		{"sftp://nas:2222/~/pg/x/", "sftp://nas:2222/~/pg/x", Address{Scheme: SFTP, Host: "nas", Port: 2222, Path: "pg/x"}},
		{"sftp://[fe80::1]/~", "", Address{Scheme: SFTP, Host: "fe80::1", Path: "."}},
		{`sftp://DOM%5Cu@nas/x`, "", Address{Scheme: SFTP, User: `DOM\u`, Host: "nas", Path: "/x"}},
	} {
		got, err := Parse(c.text)
		if err != nil || got != c.want {
			t.Errorf("%s = %+v, %v; want %+v", c.text, got, err, c.want)
		}
		if c.again == "" {
			c.again = c.text
		}
		if s := got.String(); s != c.again {
			t.Errorf("%s is written as %s, want %s", c.text, s, c.again)
		}
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"": "missing", "/backup": "kind of place", "backup": "kind of place",
		"s4://bucket": `did you mean "s3"`, "ftp://h/x": `did you mean "sftp"`, "gcs://b": `did you mean "gs"`, "AKIAABCDEFGHIJKLMNOP:x": `"…"`,
		"file:backup": "not absolute", "file://nas/x": "not on another", "file:/x?y": "no options", "file:/x#y": "#", "file:/x#": "#", "file:/x?": "?", "file://u@/x": "no user", "file:/a%00": "NUL",
		"s3:bucket/x": "bucket is missing", "s3:///x": "bucket is missing", "s3://bucket:9000/x": "no port", "s3://bucket:/x": "no port", "s3://Bucket": "small letters", "s3://ab": "3 to 63",
		"s3://a..b": "small letters", "s3://10.0.0.1": "small letters", "s3://xn--b": "small letters", "s3://a_b": "small letters", "s3://" + strings.Repeat("a", 64): "3 to 63",
		"s3://abc/a//b": "prefix", "s3://abc/../b": "prefix", "s3://abc//": "prefix", "s3://abc/" + strings.Repeat("a/", 300) + "a": "512", "s3://abc/%01": "prefix",
		"s3://abc?regoin=x": `unknown option "regoin"; did you mean "region"?`, "s3://abc?Region=x": `did you mean "region"`, "s3://abc?": "without an option",
		"s3://abc?colour=x": "known here: region, endpoint", "s3://abc?region=a&region=a": "comes twice", "s3://abc?region": "no value", "s3://abc?region=": "no value", "s3://abc?region=a%zz": "URL",
		"s3://abc?region=a b": "region", "s3://abc?path_style=1": "neither true nor false", "s3://abc?part_size=1MiB": "5MiB to 5GiB", "s3://abc?part_size=6GiB": "5MiB to 5GiB", "s3://abc?part_size=8": "5MiB",
		"s3://abc?max_parts=0": "1 to 10000", "s3://abc?max_parts=10001": "1 to 10000", "s3://abc?endpoint=http://h": "not encrypted", "s3://abc?endpoint=h": "not the URL",
		"s3://abc&x": "small letters", "s3://abc?a1=x": `unknown option "…"`, "gs://abc?region=x": "unknown option",
		"gs://goog-x": "without google", "gs://a-": "hyphens", "gs://" + strings.Repeat("a", 64) + ".b": "3 to 63",
		"azblob://account1": "container is missing", "azblob://a-1/cont": "3 to 24", "azblob://account1/a--b": "single hyphens", "azblob://account1/Cont/x": "small", "azblob://account1/cont//x": "prefix",
		"sftp://nas": "path is missing", "sftp://nas/": "path is missing", "sftp:///x": "host is missing", "sftp://-oProxy/x": "odd character", "sftp://nas:0/x": "port", "sftp://nas:99999/x": "port", "sftp://nas:/x": "port",
		"sftp://a b/x": "not a URL", "sftp://@nas/x": "user", "sftp://-u@nas/x": "user", "sftp://nas/x?y=1": "sftp: has no options", "sftp://[fe80::1%25eth0]/x": "odd", "sftp://[1.2.3.4]/x": "not a URL",
		"s3://" + strings.Repeat("a", 5000): "4096",
	} {
		_, err := Parse(text)
		f, ok := err.(*fault.Error)
		if !ok || f.Code != fault.Usage || f.What == "" || f.Left == "" || f.Do == "" || !strings.Contains(f.Why, want) {
			t.Errorf("%.80s: %#v, want %s", text, err, want)
		}
		if ok && strings.Contains(f.Do, "%!") {
			t.Errorf("%.80s: do %s", text, f.Do)
		}
	}
}

// TestNoSecretIsRepeated: wherever a person may put a secret, it is refused
// and not shown; a remedy is.
func TestNoSecretIsRepeated(t *testing.T) {
	const secret = "wJalr7c4n4ry"
	for _, form := range []string{
		"s3://AKIA:%s@bucket/x", "s3://%s@bucket", "s3://AKIA:ab/%s@bucket/x", "s3://abc?secret_access_key=%s", "s3://abc?%s=x", "s3://abc?x=%s", "s3://abc?region=a&access_key=%s",
		"s3://abc?endpoint=https://u:%s@h", "s3://abc?endpoint=https://h?sig=%s", "azblob://account1/cont?sv=2024&sig=%s", "azblob://account1/cont/x?se=1&sig=%s", "gs://u:%s@abc",
		"sftp://u:%s@nas/x", "sftp://u:a/%s@nas/x", "sftp://u:%%zz%s@nas/x", "file://u:%s@h/x", "%s:x", "%s", "https://u:%s@h/", "s3://abc#%s",
	} {
		text := fmt.Sprintf(form, secret)
		a, err := Parse(text)
		if err == nil {
			t.Errorf("%s is accepted as %+v", text, a)
			continue
		}
		f := fault.As(err)
		if all := fmt.Sprintf("%+v %v", *f, err); strings.Contains(strings.ToLower(all), strings.ToLower(secret)) && form != "%s" {
			t.Errorf("%s tells: %s", text, all)
		}
	}
	for _, text := range []string{"s3://A:b@bucket", "s3://abc?secret_key=x", "azblob://account1/cont?sig=x"} {
		if _, err := Parse(text); !strings.Contains(fault.As(err).Do, "credentials =") {
			t.Errorf("%s: %s", text, fault.As(err).Do)
		}
	}
	if _, err := Parse("sftp://u:x@nas/p"); !strings.Contains(fault.As(err).Do, "agent") {
		t.Error(fault.As(err).Do)
	}
}

func TestSame(t *testing.T) {
	parse := func(s string) Address {
		a, err := Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"file:/a", "file:///a/", true}, {"file:/a", "file:/b", false},
		{"s3://abc/p?region=eu-west-1", "s3://abc/p/?endpoint=https://s3.eu-west-1.amazonaws.com&part_size=8MiB", true},
		{"s3://abc/p", "s3://abc/p?endpoint=https://minio:9000", false},
		{"s3://abc?endpoint=https://Minio", "s3://abc?endpoint=https://minio:443/&path_style=true", true},
		{"s3://abc/p", "s3://abc/q", false}, {"s3://abc/p", "gs://abc/p", false}, {"gs://abc", "gs://abc?endpoint=https://storage.googleapis.com", true},
		{"azblob://acc/abc/p", "azblob://acc/abc/p?endpoint=https://acc.blob.core.windows.net", true}, {"azblob://acc/abc", "azblob://acd/abc", false},
		{"sftp://u@nas/p", "sftp://u@NAS:22/p/", true}, {"sftp://u@nas/p", "sftp://v@nas/p", false}, {"sftp://nas/p", "sftp://nas/~/p", false}, {"sftp://nas:2222/p", "sftp://nas/p", false},
	} {
		if got := Same(parse(c.a), parse(c.b)); got != c.same || Same(parse(c.b), parse(c.a)) != got {
			t.Errorf("Same(%s, %s) = %t", c.a, c.b, got)
		}
	}
}

// addresses makes any address that can be.
func addresses() *rapid.Generator[Address] {
	return rapid.Custom(func(t *rapid.T) Address {
		draw := func(form, what string) string { return rapid.StringMatching(form).Draw(t, what) }
		element := rapid.StringOfN(rapid.RuneFrom([]rune("abzA9 .%?#&=+@:;,_~-ü\u4e16'\"<>")), 1, 12, 200).Filter(func(s string) bool { return s != "." && s != ".." })
		join := func(least int) string {
			return strings.Join(rapid.SliceOfN(element, least, 4).Draw(t, "path"), "/")
		}
		endpoint := ""
		if rapid.Bool().Draw(t, "endpoint?") {
			endpoint = draw(`https://[a-z0-9]{1,9}(\.[a-z]{1,5})?(:[1-9][0-9]{1,3})?(/[a-z0-9&=+]{1,5})?`, "endpoint")
		}
		switch s := rapid.SampledFrom([]string{File, S3, GCS, Azure, SFTP}).Draw(t, "kind"); s {
		case File:
			return Address{Scheme: s, Path: "/" + join(0)}
		case S3:
			return Address{Scheme: s, Bucket: draw(`[b-d][a-z0-9-]{1,20}[a-z0-9]`, "bucket"), Prefix: join(0), Endpoint: endpoint, Region: draw(`([a-z]{2}-[a-z]{4}-[1-9])?`, "region"),
				PathStyle: rapid.Bool().Draw(t, "style"), PartSize: rapid.SampledFrom([]int64{0, 5 << 20, 5<<20 + 1, 5 << 30}).Draw(t, "part"), MaxParts: rapid.IntRange(0, 10000).Draw(t, "parts")}
		case GCS:
			return Address{Scheme: s, Bucket: draw(`[b-d][a-f0-9_-]{1,20}[a-f0-9]`, "bucket"), Prefix: join(0), Endpoint: endpoint}
		case Azure:
			return Address{Scheme: s, Account: draw(`[a-z0-9]{3,24}`, "account"), Bucket: draw(`[a-z][a-z0-9]{2,10}(-[a-z0-9]{1,5})?`, "container"), Prefix: join(0), Endpoint: endpoint}
		default:
			a := Address{Scheme: s, User: draw(`([a-z_][a-z0-9_.+-]{0,8})?`, "user"), Host: draw(`[a-zA-Z][a-z0-9.-]{0,12}|::1|fe80::[1-9]|10\.0\.0\.[1-9]`, "host"), Port: rapid.IntRange(0, 65535).Draw(t, "port")}
			if a.Path = join(1); rapid.Bool().Draw(t, "absolute") {
				a.Path = "/" + a.Path
				if strings.HasPrefix(a.Path+"/", "/~/") {
					a.Path = "/x"
				}
			}
			return a
		}
	})
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := addresses().Draw(t, "address")
		got, err := Parse(a.String())
		if err != nil || got != a {
			t.Fatalf("%s = %+v, %v; want %+v", a, got, err, a)
		}
		if !Same(a, got) {
			t.Fatalf("%s is not the same as itself", a)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"file:/x", "s3://abc/p?region=eu&endpoint=https://h&path_style=true&part_size=8MiB&max_parts=7", "gs://a.b/c", "azblob://account1/cont/x", "sftp://u@[::1]:22/~/x", "sftp://h/~", "s3://k:s@b", "file:/%2e%2e/%00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text)
		if err != nil {
			if f := fault.As(err); f.Code != fault.Usage || f.Why == "" || f.Do == "" {
				t.Fatalf("%q: %+v", text, f)
			}
			return
		}
		again, err := Parse(a.String())
		if err != nil || again != a {
			t.Fatalf("%q is %+v, written as %q, then %+v, %v", text, a, a.String(), again, err)
		}
	})
}
