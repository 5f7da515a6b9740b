package s3

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgvault/vault/store"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

func TestKilledInTheMiddleOfAnUpload(t *testing.T) {
	s := servers.S3(t)
	p := open(t, s, at(s, "vault"))
	cmd := child(t.Context(), s, "stuck", "vault")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "stuck\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // says that it was killed
	if got := storetest.Names(t, p, ""); len(got) > 0 {
		t.Errorf("listed %q", got)
	}
	elsewhere := open(t, s, at(s, "other"))
	for place, want := range map[*Place]int{p: 1, elsewhere: 0} {
		if left, err := place.Unfinished(t.Context()); err != nil || len(left) != want {
			t.Fatalf("%s: %v, %v; want %d", place, left, err, want)
		}
	}
	left, err := p.Unfinished(t.Context())
	if err != nil || left[0].Name != "main/db/a/part" || left[0].ID == "" || left[0].Started.IsZero() {
		t.Fatalf("%+v, %v", left, err)
	}
	for range 2 { // one that is gone already is no error
		if err := p.Discard(t.Context(), left[0]); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := p.Unfinished(t.Context()); err != nil || len(left) > 0 {
		t.Fatalf("after Discard: %v, %v", left, err)
	}
	storetest.Put(t, p, "main/db/a/part", []byte("again"))
}

func TestUnfinishedOverSeveralPages(t *testing.T) {
	s := servers.S3(t)
	proxy := behind(t, s)
	p := through(t, s, proxy, "vault")
	const pages = `<?xml version="1.0" encoding="UTF-8"?><ListMultipartUploadsResult><Bucket>backups</Bucket><IsTruncated>%t</IsTruncated>%s` +
		`<Upload><Key>vault/%s</Key><UploadId>%s</UploadId><Initiated>2026-11-01T10:00:00.000Z</Initiated></Upload></ListMultipartUploadsResult>`
	page := func(n int, more bool, next, key string) storetest.FaultRule {
		r := storetest.FaultAnswering(200, fmt.Sprintf(pages, more, next, key, fmt.Sprint("id", n)))
		r.Nth = n
		return r
	}
	next := func(n int) string {
		return fmt.Sprintf("<NextKeyMarker>vault/main/%d</NextKeyMarker><NextUploadIdMarker>id%d</NextUploadIdMarker>", n, n)
	}
	proxy.Set(page(1, true, next(1), "main/1"), page(2, true, next(2), "../etc/passwd"), page(3, false, "", "main/2"))
	got, err := p.Unfinished(t.Context())
	if err != nil || len(got) != 2 || got[0].Name != "main/1" || got[1].Name != "main/2" || got[1].ID != "id3" {
		t.Errorf("%+v, %v", got, err)
	}
	if log := proxy.Log(); len(log) != 3 || !strings.Contains(log[1], "key-marker=vault%2Fmain%2F1") {
		t.Errorf("%q", log)
	}
	for name, last := range map[string]string{"no marker": "", "the same marker again": next(1)} {
		proxy.Set(page(1, true, next(1), "main/1"), page(2, true, last, "main/2"))
		if got, err := p.Unfinished(t.Context()); err == nil || got != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// TestMemoryIsFlat: an object of 2 GiB and unknown size goes and comes with
// no more memory than the pieces on their way need.
func TestMemoryIsFlat(t *testing.T) {
	s := servers.S3(t)
	out, err := child(t.Context(), s, "big", "vault", strconv.Itoa(2<<30)).Output()
	if err != nil {
		t.Fatal(err)
	}
	kib, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || kib >= 128<<10 {
		t.Errorf("2 GiB took %d KiB of memory, %v", kib, err)
	}
	t.Logf("at most %d MiB of memory", kib>>10)
	p := open(t, s, at(s, "vault"))
	if info, err := p.Stat(t.Context(), "main/db/a/part"); err != nil || info.Size != 2<<30 {
		t.Errorf("%+v, %v", info, err)
	}
}

// TestTwoCreatorsOfOneNameInPieces: exactly one of them wins, and its bytes
// lie there.
func TestTwoCreatorsOfOneNameInPieces(t *testing.T) {
	s := servers.S3(t)
	a := at(s, "vault")
	a.PartSize = minPiece
	for round := range 20 {
		name := fmt.Sprintf("main/db/%d/part", round)
		errs, ready := make([]error, 2), make(chan struct{})
		done := make(chan int)
		for i := range errs {
			w, err := open(t, s, a).Create(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(storetest.Bytes(minPiece+1000, uint64(i))); err != nil {
				t.Fatal(err)
			}
			go func() {
				<-ready
				errs[i] = w.Commit(t.Context())
				done <- i
			}()
		}
		close(ready)
		<-done
		<-done
		winner := 0
		if errs[0] != nil {
			winner = 1
		}
		if errs[winner] != nil || !errors.Is(errs[1-winner], store.ErrExist) {
			t.Fatalf("round %d: %v", round, errs)
		}
		p := open(t, s, a)
		if string(storetest.Get(t, p, name)) != string(storetest.Bytes(minPiece+1000, uint64(winner))) {
			t.Fatalf("round %d: not the winner's bytes", round)
		}
		if left, err := p.Unfinished(t.Context()); err != nil || len(left) > 0 {
			t.Fatalf("round %d: uploads are left: %v, %v", round, left, err)
		}
	}
}
