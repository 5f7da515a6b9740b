package vault

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// ways are what may have become of a copy; quiet ones are not seen by a
// listing, because no size and no signature tells.
var ways = []struct {
	name  string
	quiet bool
	harm  func(dir string) error
}{
	{"whole", true, func(string) error { return nil }},
	{"whole", true, func(string) error { return nil }},
	{"absent", false, os.RemoveAll},
	{"no manifest", false, func(dir string) error { return os.Remove(dir + "/" + archive.ManifestName) }},
	{"a part short", false, func(dir string) error { return truncated(dir+"/"+archive.GlobalsPart, 3) }},
	{"a part gone", false, func(dir string) error { return os.Remove(dir + "/" + archive.ContentsPart) }},
	{"manifest changed", false, func(dir string) error { return flipped(dir + "/" + archive.ManifestName) }},
	{"signature gone", false, func(dir string) error { return os.Remove(dir + "/" + archive.SignatureName) }},
	{"a part changed", true, func(dir string) error { return flipped(dir + "/" + archive.MainPart) }},
}

func truncated(path string, n int64) error {
	return errors.Join(os.Chmod(path, 0o600), os.Truncate(path, n))
}

func flipped(path string) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	src[len(src)/2] ^= 1
	return errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, src, 0o600))
}

// inodes gives what every file below a folder is: to be the same afterwards
// it must be the same file, not changed since.
func inodes(dir string) (map[string]string, error) {
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			return err
		}
		out[strings.TrimPrefix(path, dir)] = fmt.Sprint(st.Ino, st.Size, st.Ctim)
		return nil
	})
	return out, err
}

// TestCopyMissingProperty: whatever has become of the copies in three places,
// of which one may not answer, after copying all that is missing every place
// that answers has every archive of which some place that answers had a good
// copy; and no file of a good copy was touched. Damage that no listing sees
// is found when it is read, and healed by the next run.
func TestCopyMissingProperty(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		w.places("nas", "usb")
		names := []string{"disk", "nas", "usb"}
		n := rapid.IntRange(1, 4).Draw(r, "archives")
		var ids []string
		for i := range n {
			ids = append(ids, w.fabricate(made{database: "shop", at: noon.Add(time.Duration(i) * time.Hour), seq: int64(i + 1)}))
		}
		w.copyAll(w.vault(), CopyOptions{Missing: true}).ok(t)
		fate := map[string]int{}
		for _, id := range ids {
			for _, place := range names {
				way := rapid.IntRange(0, len(ways)-1).Draw(r, id+" in "+place)
				fate[id+place] = way
				if err := ways[way].harm(filepath.Join(w.placeDir(place), "main", "shop", id)); err != nil {
					t.Fatal(err)
				}
			}
		}
		silent := rapid.SampledFrom([]string{"", "", "nas", "usb"}).Draw(r, "silent")
		before := map[string]map[string]string{}
		for _, id := range ids {
			for _, place := range names {
				if ways[fate[id+place]].name != "whole" {
					continue
				}
				var err error
				if before[id+place], err = inodes(filepath.Join(w.placeDir(place), "main", "shop", id)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range w.conf.Places {
			if w.conf.Places[i].Name == silent {
				w.conf.Places[i].Store = gone{w.conf.Places[i].Store}
			}
		}
		for range 2 { // the second heals what the first found
			p := &tape{}
			if p.err = w.vault().Copy(t.Context(), CopyOptions{Missing: true}, p.sink); p.err != nil && len(p.events) == 0 {
				r.Fatal(p.err)
			}
			p.check(t)
			if code := fault.CodeOf(p.err); p.err != nil && code != fault.Partial && code != fault.PlaceUnreachable && code != fault.Differs && code != fault.Failed {
				r.Errorf("it ends with %d: %v", code, p.err)
			}
		}
		for _, id := range ids {
			checkFate(r, w, id, names, silent, fate, before)
		}
	})
}

func checkFate(r *rapid.T, w *world, id string, names []string, silent string, fate map[string]int, before map[string]map[string]string) {
	good := false
	for _, place := range names {
		good = good || place != silent && ways[fate[id+place]].name == "whole"
	}
	for _, place := range names {
		way := ways[fate[id+place]]
		why := w.wrongIn(place, "shop", id)
		switch {
		case place == silent && way.name != "whole": // nothing could be done there
		case good && why != "" && !way.quiet:
			r.Errorf("%s in %s, which was %s, is not whole: %s", id, place, way.name, why)
		case way.name == "whole" && why != "":
			r.Errorf("%s in %s was whole: %s", id, place, why)
		}
		if way.name != "whole" {
			continue
		}
		after, err := inodes(filepath.Join(w.placeDir(place), "main", "shop", id))
		if err != nil {
			r.Fatal(err)
		}
		for name, was := range before[id+place] {
			if after[name] != was {
				r.Errorf("%s of %s in %s was touched", name, id, place)
			}
		}
	}
}
