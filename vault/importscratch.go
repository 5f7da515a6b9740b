package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/pgtest"
	"pgvault/vault/archive"
	"pgvault/vault/foreign"
)

// scratchAdmin is the superuser of the scratch server: not postgres, which in
// a dump is the name of an ordinary owner.
const scratchAdmin = "pgvault_scratch"

// readOriginal takes down rows and SHA-256 of each table of the original, as
// it says them itself. A script was read so for the plan.
func (i *importing) readOriginal(ctx context.Context) error {
	if i.file.script != nil {
		i.want = wantedOf(i.file.script)
		return nil
	}
	var stdin io.Reader
	var o *original
	folder := ""
	if i.file.Kind == string(foreign.Directory) {
		folder = i.file.Path
	} else {
		var err error
		if o, err = i.open(ctx); err != nil {
			return err
		}
		defer o.Close()
		stdin = o
	}
	limit := freeForScratch()
	err := pg.RowScript(ctx, i.use.restore, i.file.Kind, stdin, folder, func(r io.Reader) error {
		s, err := foreign.ReadScript(&bounded{r: r, left: limit}, nil, foreign.Filter{})
		if err == nil {
			i.want = wantedOf(s)
		}
		return err
	})
	if err != nil {
		return err
	}
	return i.same(ctx, o)
}

// bounded ends with an error after more bytes than there may be: a dump may
// be compressed within. left below 0 is no bound.
type bounded struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left >= 0 {
		if b.left -= int64(n); b.left < 0 {
			return n, &fault.Error{Op: "import", What: "its rows are more than can be restored here", Why: "they do not fit into the free space of this host's folder for temporary files",
				Left: "no archive was made; the original is as it was", Do: "make room there, or set TMPDIR to a folder with more", Code: fault.NoSpace}
		}
	}
	return n, err
}

// throughScratch restores the original into a scratch server and dumps it
// from there into the archive's main part. Nothing of the server is left
// afterwards.
func (i *importing) throughScratch(ctx context.Context) (err error) {
	i.enter(StageScratch)
	objects := i.file.Tables
	if i.file.contents != nil {
		objects = len(i.file.contents.TOC.Entries)
	}
	i.cluster, err = pgtest.Start(ctx, pgtest.Options{BinDir: i.use.server, Superuser: scratchAdmin, Conf: map[string]string{
		"max_locks_per_transaction": strconv.Itoa(64 + objects/20)}})
	if err != nil {
		return err
	}
	defer func() {
		i.guest.Close(ctx)
		if serr := i.cluster.Stop(); serr != nil {
			i.warn("the scratch server was not removed whole: " + serr.Error())
		}
	}()
	i.enter(StageCreate)
	if err := i.restore(ctx); err != nil {
		return err
	}
	i.server, i.source = i.guest.Settings, i.guest.Database
	i.enter(StageSnapshot)
	if err := i.openSnapshot(ctx); err != nil {
		return err
	}
	defer i.snapshot.Close(context.WithoutCancel(ctx))
	i.ofTheOriginal()
	i.enter(StageData)
	if err := i.dump(ctx); err != nil {
		return err
	}
	if i.manifest.Tables == 0 {
		i.note("the dump holds no table with rows")
	}
	return i.compareOriginal()
}

// note is a warning that stays with the archive.
func (i *importing) note(text string) {
	i.contents.Warnings = append(i.contents.Warnings, text)
	i.warn(text)
}

// restore makes the guest's database and fills it.
func (i *importing) restore(ctx context.Context) (err error) {
	o, owner := i.guestOptions()
	if i.guest, err = pg.InviteGuest(ctx, i.cluster.Settings(), i.cluster.SettingsFor, o); err != nil {
		return err
	}
	missing, err := i.guest.MissingOf(ctx, o.Extensions)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		var names []string
		for _, e := range missing {
			names = append(names, e.Name)
		}
		return scratchLacks("import", names, i.use.major, i.left)
	}
	var original *original
	if i.file.Kind != string(foreign.Directory) {
		if original, err = i.open(ctx); err != nil {
			return err
		}
		defer original.Close()
	}
	if i.file.script != nil {
		err = i.runScript(ctx, original)
	} else {
		err = i.runRestore(ctx, original)
	}
	if err == nil {
		err = i.same(ctx, original)
	}
	if err != nil {
		return err
	}
	return i.guest.Settle(ctx, owner)
}

func (i *importing) guestOptions() (o pg.GuestOptions, owner string) {
	o = pg.GuestOptions{Database: "pgvault_import", Superuser: i.plan.o.Superuser}
	var db foreign.Database
	var ext []foreign.Extension
	if s := i.file.script; s != nil {
		o.Roles, ext, db = s.Roles, s.Extensions, s.Made
		db.Encoding = orElse(s.Made.Encoding, s.Encoding)
		switch s.Database {
		case "", "postgres", "template0", "template1":
		default:
			o.Database = s.Database // the script may change settings of it by name
		}
	} else {
		o.Roles, ext, db = i.file.contents.Roles, i.file.contents.Extensions, i.file.contents.Database
		owner = db.Owner
	}
	for _, e := range ext {
		o.Extensions = append(o.Extensions, pg.Extension{Name: e.Name, Schema: e.Schema})
	}
	o.Like = pg.DatabaseInfo{Encoding: orElse(db.Encoding, "UTF8"), Provider: db.Provider, Collate: db.Collate, CType: db.CType, ICULocale: db.Locale}
	if o.Like.Collate == "" {
		o.Like.Collate, o.Like.CType = "C", "C"
	}
	if o.Like.Encoding == "SQL_ASCII" {
		o.Like.Collate, o.Like.CType = "C", "C"
	}
	return o, owner
}

func (i *importing) runScript(ctx context.Context, o *original) error {
	i.note("a plain script does not tell all: settings and locale of the database may be missing")
	r, w := io.Pipe()
	filtered := make(chan error, 1)
	go func() {
		_, err := foreign.ReadScript(o, w, foreign.Filter{Script: i.file.script, OldServer: i.use.major < 17})
		w.CloseWithError(err)
		filtered <- err
	}()
	err := pg.RunScript(ctx, i.guest.Settings, i.use.restore, i.guest.Database, r)
	r.CloseWithError(errStopped)
	if ferr := <-filtered; ferr != nil && err == nil && !errors.Is(ferr, errStopped) {
		return ferr
	}
	return err
}

// errStopped ends the reading of a script that psql needs no more of.
var errStopped = errors.New("psql has ended")

func (i *importing) runRestore(ctx context.Context, o *original) error {
	ro := pg.RestoreOptions{Database: i.guest.Database, Format: i.file.Kind, NoOwner: i.plan.o.NoOwner, NoTablespaces: true}
	if o == nil {
		ro.Folder = i.file.Path
	} else {
		ro.Stdin = o
	}
	failed, err := pg.RunRestore(ctx, i.guest.Settings, i.use.restore, ro, nil)
	if err != nil {
		return leaving(err, i.left)
	}
	if len(failed) > 0 {
		return pg.ImportFault(fmt.Sprintf("%s of the dump could not be restored", plural(int64(len(failed)), "object")), failed, nil)
	}
	return nil
}

// ofTheOriginal makes the catalog tell of the database that was dumped, not
// of the one in the scratch server.
func (i *importing) ofTheOriginal() {
	c := i.catalog
	_, owner := i.guestOptions()
	c.Database.Name, c.Database.Owner, c.Database.Grants = i.o.Database, owner, nil
	roles := c.Roles[:0]
	for _, r := range c.Roles {
		if !pg.IsGuest(r.Name) {
			r.BypassRLS = false // theirs in the scratch server only
			roles = append(roles, r)
		}
	}
	c.Roles = roles
	i.contents.Original = &archive.Original{Name: i.file.Name, Kind: i.file.Kind, Wraps: i.file.Wraps, Size: i.file.Size, SHA256: i.file.SHA256,
		Server: i.file.Server, Dump: i.file.Dump, Dated: i.file.Dated}
}
