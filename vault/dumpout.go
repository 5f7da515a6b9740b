package vault

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// DumpTo writes an archive's dump, decrypted, for pg_restore. To a file it
// goes through FILE.part beside it, mode 0600, which is renamed only after
// the last byte agreed with the manifest; "-" is w, where a reader must
// heed the exit code because bytes are out before the last is checked.
func (v *Vault) DumpTo(ctx context.Context, ref, file string, w io.Writer, ids Identities) error {
	keys, err := v.keys(ids)
	if err != nil {
		return err
	}
	f, err := v.locate(ctx, ref, "")
	if err != nil {
		return err
	}
	write := func(l *located) error {
		main, err := l.o.Part(ctx, archive.MainPart, keys)
		if err != nil {
			return err
		}
		defer main.Close()
		if file == "-" {
			return copyAll(ctx, w, main)
		}
		return writeWhole(ctx, file, main)
	}
	if file == "-" { // what is out cannot be taken back for another copy
		if l := &f.copies[0]; l.o != nil {
			return write(l)
		}
		return f.copies[0].why
	}
	return f.read(ctx, write)
}

func copyAll(ctx context.Context, w io.Writer, r io.Reader) error {
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return &fault.Error{Op: "dump", What: "the dump could not be written", Left: "the archive is as it was", Do: "free space, or choose another file", Err: werr}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func writeWhole(ctx context.Context, file string, r io.Reader) error {
	fail := func(err error) error {
		return &fault.Error{Op: "dump", What: file + " could not be written", Left: "no file of that name was made or changed", Do: "choose another path, or free space", Err: err}
	}
	if _, err := os.Lstat(file); err == nil {
		return &fault.Error{Op: "dump", What: file + " exists already", Why: "a decrypted dump never replaces a file", Left: "it was not changed", Do: "choose another name or remove it", Code: fault.Refused}
	}
	part := filepath.Clean(file) + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fail(err)
	}
	defer os.Remove(part)
	defer f.Close()
	if err := copyAll(ctx, f, r); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fail(err)
	}
	if err := os.Link(part, file); err != nil {
		return fail(err)
	}
	return nil
}
