package vault

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/vault/tell"
)

// sized is a good archive of a size, on a place of 500 GiB.
func sized(database string, age time.Duration, bytes, stored int64) Archive {
	a := good(database, age, ProofReadable)
	a.Bytes, a.Stored = bytes, stored
	return a
}

// keysOf gives the keys of warnings, sorted.
func warningKeys(h *Health) []string {
	out := []string{}
	for _, w := range h.Warnings {
		out = append(out, w.Key)
		if w.What == "" || w.Why == "" || w.Left == "" || w.Do == "" {
			panic("a line is empty: " + w.Key)
		}
	}
	slices.Sort(out)
	return out
}

func TestWarningsThatMatter(t *testing.T) {
	ok := []DatabaseStatus{{Database: "shop", State: "ok", LastGood: ago(time.Hour), MaxAgeSeconds: 86400}}
	with := func(a Archive, change func(*Archive)) Archive { change(&a); return a }
	const gib = 1 << 30
	series := func(stored ...int64) []Archive { // newest first
		var out []Archive
		for i, s := range stored {
			out = append(out, sized("shop", time.Duration(i)*day+time.Hour, 100, s))
		}
		return out
	}
	for name, c := range map[string]struct {
		list []Archive
		free int64
		want []string
	}{
		"all well":               {series(gib, gib), 10 * gib, nil},
		"half is not less":       {[]Archive{sized("shop", time.Hour, 50, 1), sized("shop", day, 100, 1)}, gib, nil},
		"less than half":         {[]Archive{sized("shop", time.Hour, 49, 1), sized("shop", day, 100, 1)}, gib, []string{"shrunk/shop"}},
		"only the newest counts": {[]Archive{sized("shop", time.Hour, 49, 1), sized("shop", day, 49, 1), sized("shop", 2*day, 100, 1)}, gib, nil},
		"a partial one between": {[]Archive{sized("shop", time.Hour, 100, 1), with(sized("shop", day, 9000, 1), func(a *Archive) { a.State = "partial" }), sized("shop", 2*day, 100, 1)},
			gib, nil},
		"another database":       {[]Archive{sized("shop", time.Hour, 49, 1), sized("crm", day, 100, 1)}, gib, nil},
		"no table":               {[]Archive{with(sized("shop", time.Hour, 9, 1), func(a *Archive) { a.Tables, a.Warnings = 0, 1 })}, gib, []string{"empty/shop"}},
		"pg_dump's warnings":     {[]Archive{with(sized("shop", time.Hour, 9, 1), func(a *Archive) { a.Warnings = 2 })}, gib, []string{"warnings/shop"}},
		"shrunk, and warned":     {[]Archive{with(sized("shop", time.Hour, 9, 1), func(a *Archive) { a.Warnings = 2 }), sized("shop", day, 100, 1)}, gib, []string{"shrunk/shop", "warnings/shop"}},
		"room for one more":      {series(10*gib, 10*gib), 12 * gib, nil},
		"no room for a fifth":    {series(10*gib, 10*gib), 12*gib - 1, []string{"space/disk"}},
		"it grows":               {series(10*gib, 8*gib, 6*gib, 4*gib, 2*gib), 12 * gib, nil}, // two more each time: 12
		"it grows fast":          {series(20*gib, 10*gib), 25 * gib, []string{"space/disk"}},
		"it shrinks":             {series(10*gib, 100*gib), 12 * gib, nil},
		"free is not known":      {series(10 * gib), -1, nil},
		"a copy is elsewhere":    {[]Archive{with(sized("shop", time.Hour, 100, 10*gib), func(a *Archive) { a.Copies[0].Place = "nas" })}, gib, nil},
		"two databases, no room": {[]Archive{sized("shop", time.Hour, 100, 10*gib), sized("crm", time.Hour, 100, 10*gib)}, 20 * gib, []string{"space/disk"}},
	} {
		f := facts(ok, c.list...)
		f.places[0].free = c.free
		if got := warningKeys(f.health()); !slices.Equal(got, append([]string{}, c.want...)) {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
	f := facts(ok, series(10*gib)...)
	f.places[0].free, f.minFree = 20*gib, map[string]int64{"disk": 10 * gib}
	if got := warningKeys(f.health()); !slices.Equal(got, []string{"space/disk"}) {
		t.Errorf("with what is to stay free: %q", got)
	}
}

func TestDrillWarning(t *testing.T) {
	ok := []DatabaseStatus{{Database: "shop", State: "ok", LastGood: ago(time.Hour), MaxAgeSeconds: 86400}}
	used := func(age time.Duration, level Proof, key string) Archive {
		a := good("shop", age, ProofReadable)
		a.Proofs = []ProofRecord{{At: noon.Add(-age), Level: level, Result: "ok", Key: key}}
		return a
	}
	for name, c := range map[string]struct {
		list    []Archive
		drilled *time.Time
		every   time.Duration
		want    string // in the first line; empty: no warning
	}{
		"nothing asked":             {[]Archive{good("shop", 90*day, ProofReadable)}, nil, 0, ""},
		"no archive":                {nil, nil, 30 * day, ""},
		"young, never":              {[]Archive{good("shop", 29*day, ProofReadable)}, nil, 30 * day, ""},
		"old, never":                {[]Archive{good("shop", time.Hour, ProofReadable), good("shop", 31*day, ProofReadable)}, nil, 30 * day, "no key of a person was ever tried"},
		"the self-check's own key":  {[]Archive{used(31*day, ProofReadable, "one-time key")}, nil, 30 * day, "no key of a person was ever tried"},
		"read by a person":          {[]Archive{used(20*day, ProofReadable, "age1x"), good("shop", 90*day, ProofReadable)}, nil, 30 * day, ""},
		"a drill in the vault":      {[]Archive{used(20*day, ProofHeader, "age1x"), good("shop", 90*day, ProofReadable)}, nil, 30 * day, ""},
		"a drill too long ago":      {[]Archive{used(31*day, ProofHeader, "age1x")}, nil, 30 * day, "no key of a person was used for 31 days; you ask for a drill every 30 days"},
		"intact needs no key":       {[]Archive{used(31*day, ProofIntact, "age1x")}, nil, 30 * day, "ever tried"},
		"a drill this host knows":   {[]Archive{good("shop", 90*day, ProofReadable)}, ago(time.Hour), 30 * day, ""},
		"an old drill of this host": {[]Archive{used(day, ProofHeader, "age1x")}, ago(60 * day), 30 * day, ""},
	} {
		f := facts(ok, c.list...)
		f.drilled, f.drillEvery = c.drilled, c.every
		h := f.health()
		i := slices.IndexFunc(h.Warnings, func(w Explained) bool { return w.Key == "drill" })
		if (i >= 0) != (c.want != "") || i >= 0 && !strings.Contains(h.Warnings[i].What, c.want) {
			t.Errorf("%s: %+v", name, h.Warnings)
		}
	}
}

func TestSinkWarning(t *testing.T) {
	f := facts(nil)
	f.failing = map[string]tell.Broken{"smtp://mail.example.org": {Since: noon, Why: "connection refused"}}
	if h := f.health(); len(h.Warnings) != 1 || h.Warnings[0].Key != "sink/smtp://mail.example.org" || !strings.Contains(h.Warnings[0].Why, "refused (since 2025-06-20 12:00Z)") {
		t.Errorf("%+v", h.Warnings)
	}
}

func TestLastLike(t *testing.T) {
	list := []Archive{{ID: "5", State: "damaged"}, {ID: "4", State: "partial"}, {ID: "3", State: "good"}, {ID: "2", State: "good"}}
	if a := lastLike(list, false); a.ID != "3" {
		t.Errorf("whole: %s", a.ID)
	}
	if a := lastLike(list, true); a.ID != "4" {
		t.Errorf("partial: %s", a.ID)
	}
	if a := lastLike(list[:2], false); a != nil {
		t.Errorf("%+v", a)
	}
}
