package cli

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/vault"
	"pgvault/vault/archive"
)

// story runs the whole job and prints it. It ends well only when every
// step did what it should, the tampering's discovery included.
func (d *demo) story(ctx context.Context) error {
	d.p.identities = []string{d.path("identity-1.txt")}
	s, err := d.p.open()
	if err != nil {
		return err
	}
	v := s.vault
	d.say("1  back up %s: encrypted from the first byte, read back with a one-time key", demoDatabase)
	if err := v.Backup(ctx, vault.BackupOptions{Database: demoDatabase, Tags: []string{"demo"}}, d.p.sink()); err != nil {
		return err
	}
	d.say("2  list")
	list, err := v.List(ctx)
	if err != nil {
		return err
	}
	if len(list) != 1 || list[0].State != "good" || list[0].Proof != vault.ProofReadable {
		return held("the listing does not show one good, readable archive")
	}
	if err := d.p.printList(list); err != nil {
		return err
	}
	id := list[0].ID
	d.say("3  verify: readable with the first recipient's identity")
	if err := d.verify(ctx, v, id, vault.ProofReadable); err != nil {
		return err
	}
	if err := d.tamper(ctx, v, id); err != nil {
		return err
	}
	d.say("5  verify: restored into a private scratch server")
	if err := d.verify(ctx, v, id, vault.ProofRestored); err != nil {
		return err
	}
	if err := d.restore(ctx, v, id); err != nil {
		return err
	}
	return d.ending(ctx, v)
}

func (d *demo) verify(ctx context.Context, v *vault.Vault, id string, level vault.Proof) error {
	return v.Verify(ctx, vault.VerifyOptions{ID: id, Level: level, Identities: d.p.secrets(ctx)}, d.p.sink())
}

// tamper turns one bit in the middle of the dump and expects to be caught;
// then it turns the bit back.
func (d *demo) tamper(ctx context.Context, v *vault.Vault, id string) error {
	d.say("4  tamper with one byte, and see it caught")
	path := filepath.Join(d.path("backup"), filepath.FromSlash(archive.Folder(v.Name(), demoDatabase, id)), archive.MainPart)
	if err := flip(path); err != nil {
		return err
	}
	err := d.verify(ctx, v, id, vault.ProofIntact)
	if fault.CodeOf(err) != fault.Differs {
		return held(fmt.Sprintf("the tampering was not caught: %v", err))
	}
	d.p.printError(err)
	if list, err := v.List(ctx); err != nil || list[0].State != "damaged" {
		return held("the listing does not show the archive as damaged")
	}
	if err := flip(path); err != nil {
		return err
	}
	return d.verify(ctx, v, id, vault.ProofIntact)
}

func flip(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, st.Size()/2); err != nil {
		return err
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, st.Size()/2); err != nil {
		return err
	}
	return f.Close()
}

func (d *demo) restore(ctx context.Context, v *vault.Vault, id string) error {
	d.say("6  restore into a new database, with two workers, and compare every table")
	plan, err := v.PlanRestore(ctx, vault.RestoreOptions{ID: id, ToNew: demoDatabase + "_restored", Jobs: 2, Identities: d.p.secrets(ctx)})
	if err != nil {
		return err
	}
	printPlan(d.p.stderr, plan)
	var done vault.RunDone
	print := d.p.sink()
	err = v.Restore(ctx, plan, func(e vault.Event) {
		if r, ok := e.(vault.RunDone); ok {
			done = r
		}
		print(e)
	})
	if err != nil {
		return err
	}
	if done.TablesTotal == 0 || done.TablesEqual != done.TablesTotal || len(done.Differences) > 0 {
		return held("not every table was compared equal")
	}
	fmt.Fprintf(d.p.stdout, "compared %d tables, %d rows: all equal\n", done.TablesEqual, done.Rows)
	return nil
}

// ending shows the retention preview and looks for the sample's own words
// in the vault: nothing readable may lie there.
func (d *demo) ending(ctx context.Context, v *vault.Vault) error {
	d.say("7  what the retention policy would do")
	verdicts, err := v.RetentionPreview(ctx, nil)
	if err != nil {
		return err
	}
	if len(verdicts) != 1 || !verdicts[0].Keep {
		return held("the retention preview would not keep the only archive")
	}
	fmt.Fprintf(d.p.stdout, "%s  keep: %s\n", verdicts[0].ID, strings.Join(verdicts[0].Reasons, "; "))
	d.say("8  nothing readable lies in the vault")
	n, err := d.searchPlain("PGDMP", "CREATE TABLE", "COPY public")
	if err != nil {
		return err
	}
	fmt.Fprintf(d.p.stdout, "searched %d files: no plaintext\n", n)
	d.say("all of it held")
	return pg.DropDatabase(ctx, d.server, demoDatabase+"_restored")
}

func (d *demo) searchPlain(words ...string) (int, error) {
	n := 0
	err := filepath.WalkDir(d.path("backup"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		n++
		src, err := os.ReadFile(path)
		for _, w := range words {
			if strings.Contains(string(src), w) {
				return held("plaintext lies in " + path)
			}
		}
		return err
	})
	return n, err
}

// held is the error of a promise that did not hold.
func held(what string) error {
	return &fault.Error{Op: "demo", What: what, Left: "the demo's files are removed; run it with --keep DIR to look at them", Do: "report this: it is a fault of pgvault", Code: fault.Failed}
}
