package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"pgvault/vault/store"
)

// Promises implements store.Promising.
func (d *Disk) Promises(ctx context.Context) (store.Promises, error) {
	p := store.Promises{NoOverwrite: "a hard link, which fails where the name is taken", Compared: "no network in between", Durable: "fsync of file and folders"}
	if d.noTmpfile {
		p.NoOverwrite = "rename without replacing"
	}
	return p, ctx.Err()
}

// Unfinished implements store.Unfinished: the temporary files, with the time
// of their last change.
func (d *Disk) Unfinished(ctx context.Context) ([]store.Upload, error) {
	left, err := d.Leftovers(ctx, "")
	if err != nil {
		return nil, err
	}
	var out []store.Upload
	for _, l := range left {
		fi, err := d.temporary(l.Name, func(folders chain, base string) (fs.FileInfo, error) { return folders.last().Lstat(base) })
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // it has ended meanwhile
		case err != nil:
			return nil, d.fault("look at", l.Name, 0, err)
		}
		out = append(out, store.Upload{ID: l.Name, Started: fi.ModTime(), Size: fi.Size()})
	}
	return out, nil
}

// Discard implements store.Unfinished.
func (d *Disk) Discard(ctx context.Context, u store.Upload) error {
	if dir, base := split(u.ID); !strings.HasPrefix(base, store.TempPrefix) || store.ValidName("x"+base) != nil || dir != "" && store.ValidName(dir) != nil {
		return fmt.Errorf("%s: %.80q is no temporary file of pgvault", d, u.ID)
	}
	if err := errors.Join(ctx.Err(), d.writable()); err != nil {
		return err
	}
	_, err := d.temporary(u.ID, func(folders chain, base string) (fs.FileInfo, error) {
		if err := folders.last().Remove(base); err != nil {
			return nil, err
		}
		return nil, folders[len(folders)-1:].sync()
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d.fault("remove", u.ID, 0, err)
	}
	return nil
}

// temporary goes to the folder of a temporary file, through no symbolic link.
func (d *Disk) temporary(name string, do func(folders chain, base string) (fs.FileInfo, error)) (fs.FileInfo, error) {
	dir, base := split(name)
	folders, err := d.folders(dir, false)
	if err != nil {
		return nil, err
	}
	defer folders.close()
	return do(folders, base)
}
