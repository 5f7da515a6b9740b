package s3

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// TestLockedObjectsCannotBeTakenAway: with the key that may do everything, a
// removal is refused, before it hides the object; and where another program has
// hidden it, its version stays, and can be read. (That the name is free then is
// true of Amazon's service, not of the one here.)
func TestLockedObjectsCannotBeTakenAway(t *testing.T) {
	s := servers.LockingS3(t)
	a := at(s, "vault")
	a.PartSize = minPiece
	now := time.Now()
	p, err := Open(t.Context(), a, address.Options{Getenv: s.Getenv, ObjectLock: 48 * time.Hour, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"main/small": []byte("hi"), "main/large": storetest.Bytes(minPiece+1000, 1)} {
		storetest.Put(t, p, name, data)
		until, err := p.LockedUntil(t.Context(), name)
		if off := until.Sub(now.Add(48 * time.Hour)); err != nil || off < -time.Second || off > time.Second {
			t.Errorf("%s: locked until %v, %v", name, until, err)
		}
		wantFault(t, p.Remove(t.Context(), name), fault.Refused, "locked until", "Wait until the lock ends")
		if _, err := p.Stat(t.Context(), name); err != nil {
			t.Errorf("%s after it was refused: %v", name, err)
		}
		if err := p.remove(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Stat(t.Context(), name); !errors.Is(err, store.ErrNotExist) {
			t.Errorf("%s behind a marker: %v", name, err)
		}
		version := versions(t, p, name)
		if len(version) != 1 {
			t.Fatalf("%s: versions %v", name, version)
		}
		if err := p.remove(t.Context(), name, &version[0]); status(err) != 403 || code(err) != "AccessDenied" {
			t.Errorf("%s: taking the locked version away: %v", name, err)
		}
		key := "vault/" + name
		out, err := p.client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &p.bucket, Key: &key, VersionId: &version[0]})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(out.Body); string(got) != string(data) || err != nil {
			t.Errorf("%s: the version has %d bytes, %v", name, len(got), err)
		}
	}
	if pr, err := p.Promises(t.Context()); err != nil || pr.Lock != "compliance, 2 days" {
		t.Errorf("%+v, %v", pr, err)
	}
	if _, err := p.LockedUntil(t.Context(), "main/x"); !errors.Is(err, store.ErrNotExist) {
		t.Errorf("the lock of nothing: %v", err)
	}
	unlocked := open(t, s, at(s, "vault"))
	storetest.Put(t, unlocked, "main/free", nil)
	if until, err := unlocked.LockedUntil(t.Context(), "main/free"); err != nil || !until.IsZero() {
		t.Errorf("an object without a lock: %v, %v", until, err)
	}
}

// versions gives the versions of an object, without delete markers.
func versions(t *testing.T, p *Place, name string) []string {
	t.Helper()
	key := p.prefix + name
	out, err := p.client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &p.bucket, Prefix: &key})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, v := range out.Versions {
		ids = append(ids, *v.VersionId)
	}
	return ids
}

// TestRemovalThatALockForbids: a service that refuses even the marker.
func TestRemovalThatALockForbids(t *testing.T) {
	s := servers.LockingS3(t)
	proxy := behind(t, s)
	p := through(t, s, proxy, "vault")
	p.lock = time.Hour
	storetest.Put(t, p, "main/x", nil)
	proxy.Set(storetest.FaultRule{Method: "DELETE", Times: -1, Do: storetest.FaultAnswer, Status: 403,
		Body: "<Error><Code>AccessDenied</Code><Message>Access Denied because object protected by object lock.</Message></Error>"})
	wantFault(t, p.Remove(t.Context(), "main/x"), fault.Refused, "locked until", "Wait until the lock ends")
	free := through(t, s, proxy, "vault") // without a lock it is the credentials' fault
	proxy.Set()
	storetest.Put(t, free, "main/y", nil)
	proxy.Set(storetest.FaultRule{Method: "DELETE", Do: storetest.FaultAnswer, Status: 403, Body: "<Error><Code>AccessDenied</Code></Error>"})
	wantFault(t, free.Remove(t.Context(), "main/y"), fault.Refused, "the right to do this")
}

func TestLockNeedsABucketThatLocks(t *testing.T) {
	s := servers.S3(t)
	p, err := Open(t.Context(), at(s, "vault"), address.Options{Getenv: s.Getenv, ObjectLock: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{10, firstPiece + 10} {
		w, err := p.Create(t.Context(), "main/x")
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Write(make([]byte, size))
		if cerr := w.Commit(t.Context()); err == nil {
			err = cerr
		}
		var f *fault.Error
		if !errors.As(err, &f) || !strings.Contains(f.Do, "object lock") || f.Code != fault.Refused {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	wantNothing(t, p)
	if pr, err := p.Promises(t.Context()); err != nil || !strings.Contains(pr.Lock, "none") {
		t.Errorf("%+v, %v", pr, err)
	}
	plain := open(t, s, at(s, "vault"))
	storetest.Put(t, plain, "main/x", nil)
	if until, err := plain.LockedUntil(t.Context(), "main/x"); err != nil || !until.IsZero() {
		t.Errorf("%v, %v", until, err)
	}
	if _, err := plain.LockedUntil(t.Context(), "main/y"); !errors.Is(err, store.ErrNotExist) {
		t.Errorf("the lock of nothing: %v", err)
	}
	if pr, err := plain.Promises(t.Context()); err != nil || pr.Lock != "" || pr.MaxObject < 5<<40 || pr.Pieces != 10_000 {
		t.Errorf("%+v, %v", pr, err)
	}
}

// wantNothing checks that nothing is listed nor left unfinished.
func wantNothing(t *testing.T, p *Place) {
	t.Helper()
	if got := storetest.Names(t, p, ""); len(got) > 0 {
		t.Errorf("listed %q", got)
	}
	if left, err := p.Unfinished(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("unfinished %v, %v", left, err)
	}
}
