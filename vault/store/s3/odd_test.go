package s3

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// listing is an answer to ListObjectsV2.
func listing(inside string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>backups</Name>` + inside + `</ListBucketResult>`
}

func content(key string) string {
	return "<Contents><Key>" + key + "</Key><Size>7</Size><ETag>&quot;x&quot;</ETag><LastModified>2026-11-01T10:00:00.000Z</LastModified></Contents>"
}

func TestOddListings(t *testing.T) {
	s := servers.S3(t)
	proxy := behind(t, s)
	p := through(t, s, proxy, "vault")
	const more, next = "<IsTruncated>true</IsTruncated>", "<NextContinuationToken>t</NextContinuationToken>"
	for name, c := range map[string]struct {
		pages []string
		want  []string // nil: an error
	}{
		"two pages":             {[]string{more + next + content("vault/b"), "<ContinuationToken>t</ContinuationToken>" + content("vault/a")}, []string{"a", "b"}},
		"no token":              {[]string{more + content("vault/a")}, nil},
		"the same token":        {[]string{more + next, more + next}, nil},
		"the first page again":  {[]string{more + next, "<ContinuationToken>u</ContinuationToken>", "<ContinuationToken>u</ContinuationToken>", "<ContinuationToken>u</ContinuationToken>"}, nil},
		"fewer than it counts":  {[]string{"<KeyCount>2</KeyCount>" + content("vault/a"), "<KeyCount>2</KeyCount>", "<KeyCount>2</KeyCount>"}, nil},
		"no size":               {[]string{"<Contents><Key>vault/a</Key></Contents>"}, nil},
		"a size below nothing":  {[]string{"<Contents><Key>vault/a</Key><Size>-1</Size></Contents>"}, nil},
		"a broken name":         {[]string{"<EncodingType>url</EncodingType>" + content("vault/%zz")}, nil},
		"encoded":               {[]string{"<EncodingType>url</EncodingType>" + content("vault/a+b%2Bc%25")}, []string{"a b+c%"}},
		"not encoded":           {[]string{"<KeyCount>1</KeyCount>" + content("vault/a+b%25")}, []string{"a+b%25"}},
		"twice the same":        {[]string{"<KeyCount>2</KeyCount>" + content("vault/a") + content("vault/a")}, []string{"a"}},
		"somebody else's names": {[]string{"<EncodingType>url</EncodingType>" + content("vault/") + content("vault/x/") + content("vault/../x") + content("vault//x") + content("other/x") + content("vault/%1B%5D0;x%07") + content("vault/%00") + content("vault/%FF") + content("vault/ok")}, []string{"ok"}},
	} {
		t.Run(name, func(t *testing.T) {
			rules := []storetest.FaultRule{}
			for i, page := range c.pages {
				r := storetest.FaultAnswering(200, listing(page))
				r.Nth = i + 1
				rules = append(rules, r)
			}
			proxy.Set(rules...)
			list, err := p.List(t.Context(), "")
			if c.want == nil {
				wantFault(t, err, fault.PlaceUnreachable, "list")
				return
			}
			names := []string{}
			for _, i := range list {
				names = append(names, i.Name)
			}
			if err != nil || !slices.Equal(names, c.want) {
				t.Errorf("%q, %v", names, err)
			}
			if p := list[0]; p.Size != 7 || p.Stamp != "x 2026-11-01T10:00:00Z" {
				t.Errorf("%+v", p)
			}
		})
	}
}

// TestYoungObjectsHaveNoStamp: one that was made in this second could be
// replaced in the same second.
func TestYoungObjectsHaveNoStamp(t *testing.T) {
	s := servers.S3(t)
	p := open(t, s, at(s, "vault"))
	storetest.Put(t, p, "main/x", []byte("x"))
	for age, empty := range map[time.Duration]bool{0: true, time.Hour: false} {
		at := time.Now().Add(-age)
		if err := os.Chtimes(filepath.Join(s.Dir, s.Bucket, "vault/main/x"), at, at); err != nil {
			t.Fatal(err)
		}
		list, err := p.List(t.Context(), "")
		if err != nil || len(list) != 1 || (list[0].Stamp == "") != empty {
			t.Errorf("%s old: %+v, %v", age, list, err)
		}
	}
}

func TestServicesThatIgnoreARange(t *testing.T) {
	s := servers.S3(t)
	proxy := behind(t, s)
	p := through(t, s, proxy, "vault")
	for name, head := range map[string]http.Header{
		"no range":        {"Etag": {`"x"`}},
		"another range":   {"Etag": {`"x"`}, "Content-Range": {"bytes 1-10/300"}},
		"a longer range":  {"Etag": {`"x"`}, "Content-Range": {"bytes 10-30/300"}},
		"a broken range":  {"Etag": {`"x"`}, "Content-Range": {"bytes 10-"}},
		"another length":  {"Etag": {`"x"`}, "Content-Range": {"bytes 10-14/300"}},
		"nothing of that": {"Etag": {`"x"`}, "Content-Range": {"lines 10-19/300"}},
	} {
		t.Run(name, func(t *testing.T) {
			rule := storetest.FaultAnswering(206, "0123456789")
			rule.Header = head
			proxy.Set(rule)
			_, err := p.Open(t.Context(), "main/x", 10, 10)
			wantFault(t, err, fault.PlaceUnreachable, "does not answer as S3 does")
			if proxy.Requests() != 1 {
				t.Errorf("it was tried again: %q", proxy.Log())
			}
		})
	}
}

// TestReplacedWhileItIsRead: the second half is not another object's.
func TestReplacedWhileItIsRead(t *testing.T) {
	s := servers.S3(t)
	proxy := behind(t, s)
	p, direct := through(t, s, proxy, "vault"), open(t, s, at(s, "vault"))
	data := storetest.Bytes(1<<20, 1)
	storetest.Put(t, direct, "main/x", data)
	proxy.Set(storetest.FaultRule{Do: storetest.FaultTruncate})
	r, err := p.Open(t.Context(), "main/x", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	first := make([]byte, 1000)
	if _, err := io.ReadFull(r, first); err != nil {
		t.Fatal(err)
	}
	if err := direct.Remove(t.Context(), "main/x"); err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, direct, "main/x", storetest.Bytes(1<<20, 2))
	rest, err := io.ReadAll(r)
	wantFault(t, err, fault.PlaceUnreachable, "was replaced while it was read")
	if got := string(first) + string(rest); !strings.HasPrefix(string(data), got) || len(got) == len(data) {
		t.Errorf("%d bytes came, or others", len(got))
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	s := servers.S3(t)
	proxy := behind(t, s)
	p := through(t, s, proxy, "vault")
	for _, status := range []int{301, 302, 307, 308} {
		rule := storetest.FaultAnswering(status, `<Error><Code>PermanentRedirect</Code><Message>The bucket is elsewhere.</Message></Error>`)
		rule.Header = http.Header{"Location": {"http://192.0.2.1/"}, "X-Amz-Bucket-Region": {"eu-west-7"}}
		rule.Times = -1
		proxy.Set(rule)
		_, err := p.List(t.Context(), "")
		wantFault(t, err, fault.PlaceUnreachable, "PermanentRedirect", "eu-west-7")
		if proxy.Requests() != 1 {
			t.Errorf("%d: %q", status, proxy.Log())
		}
	}
}

// TestAnswersAreBounded: what a service says is made safe and short.
func TestAnswersAreBounded(t *testing.T) {
	s := servers.S3(t)
	proxy := behind(t, s)
	p := through(t, s, proxy, "vault")
	rule := storetest.FaultAnswering(403, "<Error><Code>AccessDenied</Code><Message>a\u009b2J\r\nb&#x202E;"+strings.Repeat("long ", 10_000)+"</Message></Error>")
	proxy.Set(rule)
	_, err := p.List(t.Context(), "")
	wantFault(t, err, fault.Refused, "AccessDenied")
	if why := fault.As(err).Why; len(why) > 1000 || strings.ContainsAny(why, "\u009b\r\n\u202e") {
		t.Errorf("%d bytes: %q", len(why), why)
	}
	for code, want := range map[string]string{"RequestTimeTooSkewed": "timedatectl", "QuotaExceeded": "quota", "ExpiredToken": "credentials"} {
		proxy.Set(storetest.FaultAnswering(403, "<Error><Code>"+code+"</Code></Error>"))
		_, err := p.List(t.Context(), "")
		if f := fault.As(err); !strings.Contains(f.Do, want) {
			t.Errorf("%s: do %q", code, f.Do)
		}
	}
}

// TestServicesWithoutChecksumsAreReadBack: one that tells neither checksums
// nor metadata. (Of an object in pieces the answer's body tells it here, so
// its reading back is tried by itself.)
func TestServicesWithoutChecksumsAreReadBack(t *testing.T) {
	s := servers.S3(t)
	proxy := storetest.NewFaultProxy(t, s.Endpoint, storetest.FaultOptions{RootCAs: s.CA.Pool, Hide: []string{"X-Amz-Checksum-Sha256", "X-Amz-Meta"}})
	p := through(t, s, proxy, "vault")
	p.sizing.First, p.sizing.Fixed = minPiece, true
	put := func(name string, size int) (*writer, error) {
		w, err := p.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(storetest.Bytes(size, 3)); err != nil {
			t.Fatal(err)
		}
		return w.(*writer), w.Commit(t.Context())
	}
	wrong := storetest.FaultRule{Method: "GET", Do: storetest.FaultWrongResponse, Times: -1}
	lost := []storetest.FaultRule{{Method: "PUT", Query: "!partNumber", Do: storetest.FaultLoseAnswer}, {Method: "POST", Query: "!uploads", Do: storetest.FaultLoseAnswer}}

	proxy.Set()
	if _, err := put("main/small", 1000); err != nil || count(proxy, "GET ") != 1 {
		t.Errorf("%v; %q", err, proxy.Log())
	}
	proxy.Set(wrong)
	_, err := put("main/wrong", 1000)
	wantFault(t, err, fault.Failed, "SHA-256")
	proxy.Set()
	large, err := put("main/large", minPiece+1000)
	if err != nil || !large.blind || large.readBack(t.Context()) != nil || count(proxy, "GET ") != 1 {
		t.Errorf("%v; %q", err, proxy.Log())
	}
	large.pieces[1].size--
	if err := large.readBack(t.Context()); !errors.Is(err, errUnlike) {
		t.Errorf("an object that is longer: %v", err)
	}
	large.pieces[1].size++
	proxy.Set(wrong)
	if err := large.readBack(t.Context()); !errors.Is(err, errUnlike) {
		t.Errorf("other bytes: %v", err)
	}
	for name, size := range map[string]int{"main/small-lost": 1000, "main/large-lost": minPiece + 1000} {
		proxy.Set(lost...)
		if _, err := put(name, size); err != nil || proxy.Done(storetest.FaultLoseAnswer) != 1 {
			t.Errorf("%s: %v; %q", name, err, proxy.Log())
		}
		proxy.Set()
		if _, err := put(name, size); !errors.Is(err, store.ErrExist) {
			t.Errorf("the same bytes under the taken name %s: %v", name, err)
		}
	}
	if got := storetest.Names(t, p, ""); !slices.Equal(got, []string{"main/large", "main/large-lost", "main/small", "main/small-lost"}) {
		t.Errorf("%q", got)
	}
}

// count gives how many requests of the log begin so.
func count(proxy *storetest.FaultProxy, start string) int {
	n := 0
	for _, line := range proxy.Log() {
		if strings.HasPrefix(line, start) {
			n++
		}
	}
	return n
}

// TestNameTakenIsToldApartFromALostAnswer: after a lost answer the mark says
// whose object lies there.
func TestNameTakenIsToldApartFromALostAnswer(t *testing.T) {
	s := servers.S3(t)
	proxy := behind(t, s)
	p, direct := through(t, s, proxy, "vault"), open(t, s, at(s, "vault"))
	w, err := p.Create(t.Context(), "main/x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("the same")); err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, direct, "main/x", []byte("the same")) // somebody else's, with the same bytes
	proxy.Set(storetest.FaultAnswering(500, internalError))
	if err := w.Commit(t.Context()); !errors.Is(err, store.ErrExist) {
		t.Errorf("%v; %q", err, proxy.Log())
	}
}

func TestServerTime(t *testing.T) {
	s := servers.S3(t)
	now, err := open(t, s, at(s, "vault")).ServerTime(t.Context())
	if off := time.Since(now); err != nil || off < -2*time.Second || off > time.Minute {
		t.Errorf("%v, %v", now, err)
	}
}
