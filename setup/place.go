package setup

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/guide"
	"pgvault/pg"
	"pgvault/vault"
	"pgvault/vault/store/address"
	"pgvault/vault/store/disk"
)

// ParsePlace makes a place's URL from what a person types: a URL, or a path on
// this machine.
func ParsePlace(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", &fault.Error{Op: "place", What: "no place was named", Why: "the archives must lie somewhere", Left: "nothing was changed",
			Do: "name a folder, such as /backup, or an address: " + address.Forms, Code: fault.Usage}
	}
	if !address.HasScheme(text) {
		abs, err := filepath.Abs(expandHome(text))
		if err != nil {
			return "", err
		}
		text = (&url.URL{Scheme: "file", OmitHost: true, Path: abs}).String()
	}
	a, err := address.Parse(text)
	if err != nil {
		return "", err
	}
	return a.String(), nil
}

// CheckPlace looks at a place that archives are to lie in, makes nothing there
// and asks no network: TryPlace does. need is what the databases take on the
// server's disk; server may be nil.
func CheckPlace(ctx context.Context, p config.Place, vaultName string, server *pg.Survey, need int64) []vault.Check {
	place, err := ParsePlace(p.URL)
	if err != nil {
		return []vault.Check{wrong(err)}
	}
	p.URL = place
	a, err := address.Parse(place)
	if err != nil {
		return []vault.Check{wrong(err)}
	}
	if a.Scheme != address.File {
		return []vault.Check{checkFar(ctx, p)}
	}
	folder := a.Path
	var out []vault.Check
	there := true
	if _, err := os.Stat(folder); os.IsNotExist(err) {
		there = false
	}
	if there {
		out = append(out, existingPlace(folder, place, vaultName)...)
	} else {
		out = append(out, newPlace(folder))
	}
	if Refused(out) {
		return out
	}
	out = append(out, roomAt(folder, need)...)
	m, err := mountOf(folder)
	switch {
	case err != nil:
	case m.kind == "tmpfs" || m.kind == "ramfs":
		out = append(out, note("choose a disk", "%s is memory, not a disk: it is empty after a restart", m.point))
	case m.away != "":
		out = append(out, ok("on %s, mounted at %s", m.away, m.point))
	}
	return append(out, besideData(folder, m, server)...)
}

// wrong is an error as a line.
func wrong(err error) vault.Check {
	f := fault.As(err)
	text := f.What
	if f.Why != "" {
		text += ": " + f.Why
	}
	return bad(f.Do, "%s", text)
}

func existingPlace(folder, place, vaultName string) []vault.Check {
	d, err := disk.Open(place)
	if err != nil {
		return []vault.Check{wrong(err)}
	}
	d.Close()
	if err := unix.Access(folder, unix.W_OK|unix.X_OK); err != nil {
		return []vault.Check{bad("give this user the right to write there", "%s cannot be written to: %v", folder, err)}
	}
	if _, err := os.Lstat(filepath.Join(folder, vaultName, "vault.json")); err == nil {
		return []vault.Check{note("to begin a new one, choose another folder or vault name", "%s holds a vault %q already: its archives stay, and new ones join them", folder, vaultName)}
	}
	list, err := os.ReadDir(folder)
	switch {
	case err != nil:
		return []vault.Check{bad("give this user the right to read there", "%s cannot be read: %s", folder, fileReason(err))}
	case len(list) > 0:
		return []vault.Check{note("a folder of its own is easier to look after", "%s is not empty; what is in it is left alone", folder)}
	}
	return []vault.Check{ok("%s is there, empty, and this user's own", folder)}
}

func newPlace(folder string) vault.Check {
	parent, err := nearest(filepath.Dir(folder))
	if err == nil {
		err = unix.Access(parent, unix.W_OK|unix.X_OK)
	}
	if err != nil {
		return bad("make the folder and give it to this user, or choose another", "%s does not exist, and cannot be made below %s: %v", folder, parent, err)
	}
	return ok("%s will be made, for this user alone (mode 0700)", folder)
}

// roomAt compares what is free with what the databases take now. An archive is
// compressed and mostly smaller, but a place that holds not even one copy at
// full size will soon hold none.
func roomAt(folder string, need int64) []vault.Check {
	at, err := nearest(folder)
	var st unix.Statfs_t
	if err == nil {
		err = unix.Statfs(at, &st)
	}
	if err != nil {
		return []vault.Check{note("", "how much is free there cannot be told: %v", err)}
	}
	free, total := int64(st.Bavail)*st.Bsize, int64(st.Blocks)*st.Bsize
	if need > 0 && free < need {
		return []vault.Check{note("choose a larger disk, or fewer databases", "%s free, and the databases take %s on the server (archives are compressed, mostly to less)", guide.Size(free), guide.Size(need))}
	}
	return []vault.Check{ok("%s of %s free", guide.Size(free), guide.Size(total))}
}

// besideData warns of a place that goes down with the server's own disk.
func besideData(folder string, m mount, server *pg.Survey) []vault.Check {
	if server == nil || !server.Local || server.DataDir == "" {
		return nil
	}
	data := server.DataDir
	if real, err := filepath.EvalSymlinks(data); err == nil {
		data = real
	}
	if within(folder, data) {
		return []vault.Check{bad("choose a folder elsewhere", "%s is inside the server's own data directory", folder)}
	}
	var st unix.Stat_t
	if err := unix.Stat(data, &st); err != nil || m.device == 0 {
		return nil
	}
	if st.Dev == m.device && m.away == "" {
		return []vault.Check{note("another disk, or a share that is mounted here", "on the same disk as the server's data (%s): one broken disk takes both", data)}
	}
	return []vault.Check{ok("not on the disk of the server's data")}
}

// PlaceFolder is the folder of a place as people read it; its address where
// it is not on this machine.
func PlaceFolder(place string) string {
	text, _ := hereFolder(place)
	return text
}

// hereFolder is PlaceFolder, and whether it is a folder on this machine.
func hereFolder(place string) (text string, here bool) {
	a, err := address.Parse(place)
	if err == nil && a.Scheme == address.File {
		return a.Path, true
	}
	return place, false
}
