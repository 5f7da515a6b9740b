package vault

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/dumpfile"
	"pgvault/safetext"
)

// restorePrep is what Restore needs beside the plan that people read.
type restorePrep struct {
	r    *restoration
	keys string // names of the identities, for the record
	f    *found
	l    *located // the copy that is read
	bad  []badCopy
}

// badCopy is a copy that was given up for another one of the same archive.
type badCopy struct {
	l   *located
	err error
}

// PlanRestore opens the archive, asks the target server and gathers every
// check and step as data. Nothing is changed.
func (v *Vault) PlanRestore(ctx context.Context, o RestoreOptions) (*RestorePlan, error) {
	if err := v.writable(); err != nil {
		return nil, err
	}
	keys, err := v.keys(o.Identities)
	if err != nil {
		return nil, err
	}
	f, err := v.locate(ctx, o.ID, o.Place)
	if err != nil {
		return nil, err
	}
	a := f.Archive
	prep := &restorePrep{keys: keys.Names(), f: f}
	err = f.read(ctx, func(l *located) (err error) {
		prep.l = l
		if prep.r, err = openTwice(ctx, l, keys); err != nil {
			prep.bad = append(prep.bad, badCopy{l, err})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	r := prep.r
	p := &RestorePlan{Archive: a, Place: prep.l.Name, Target: o.ToNew, o: o, prep: prep}
	p.check("ok", "the signature is trusted, and "+keys.Names()+" opens the archive", "")
	if a.State != "good" {
		p.check("!", "the archive is "+a.State+": "+a.Reason, "")
	}
	if names := f.noAnswer(); names != "" && strings.HasPrefix(o.ID, "latest:") {
		p.check("!", "no answer from "+names+": a newer archive may lie there", "see pgvault place list, or name the archive by its id")
	}
	for _, b := range prep.bad {
		p.check("!", "the copy in "+b.l.Name+" cannot be used: "+oneLine(b.err)+"; the one in "+prep.l.Name+" is taken", "pgvault verify "+a.ID+" --place "+safetext.Word(b.l.Name))
	}
	p.chooseTarget(a)
	r.oneSpace = o.NoTablespaces
	r.server, r.target, r.noOwner = v.c.Server, p.Target, o.NoOwner
	if r.jobs = o.Jobs; r.jobs <= 0 {
		r.jobs = max(1, v.c.Of(a.Database).Jobs)
	}
	if len(o.Tables) > 0 {
		if r.only, err = selectTables(r.toc, o.Tables); err != nil {
			return nil, err
		}
		p.Tables, p.Left = r.only.tables, r.only.left
	}
	p.checkBytes()
	if err := p.checkServer(ctx, v); err != nil {
		return nil, err
	}
	p.describeSteps()
	return p, nil
}

func (p *RestorePlan) check(state, text, do string) {
	p.Checks = append(p.Checks, Check{State: state, Text: text, Do: do})
}

// maxName is how many bytes of a name a server keeps: NAMEDATALEN less one.
const maxName = 63

// chooseTarget proposes a name that tells what it is: shop__r_1122_7f3a.
func (p *RestorePlan) chooseTarget(a Archive) {
	switch {
	case p.o.ToEmpty != "":
		p.Target, p.Empty = p.o.ToEmpty, true
	case p.o.ToNew == "":
		suffix := "__r_" + a.ID[4:8] + "_" + a.ID[len(a.ID)-4:]
		name := a.Database
		for len(name)+len(suffix) > maxName {
			name = name[:len(name)-1]
		}
		p.Target = strings.ToValidUTF8(name, "") + suffix
	}
}

// checkServer asks the target server all that could make the restore fail.
func (p *RestorePlan) checkServer(ctx context.Context, v *Vault) error {
	r := p.prep.r
	conn, err := r.server.Connect(ctx, "")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	info, err := pg.Server(ctx, conn)
	if err != nil {
		return err
	}
	p.checkVersions(ctx, v, info)
	p.checkCode(v, info)
	if err := p.checkTarget(ctx); err != nil {
		return err
	}
	if err := p.checkExtensions(ctx, conn, info.Major()); err != nil {
		return err
	}
	roles, err := pg.MissingRoles(ctx, conn, r.catalog.Roles)
	if err != nil {
		return err
	}
	if err := p.checkRoles(ctx, conn, info.Major(), roles); err != nil {
		return err
	}
	if err := p.checkOwners(ctx, conn, info); err != nil {
		return err
	}
	if err := p.checkNewer(ctx, conn, info); err != nil {
		return err
	}
	for _, check := range []func(context.Context, *pg.Conn) error{p.checkTablespaces, p.checkLocale, p.checkRoom} {
		if err := check(ctx, conn); err != nil {
			return err
		}
	}
	if err := p.checkInto(ctx); err != nil {
		return err
	}
	return p.checkLive(ctx, v, conn)
}

func (p *RestorePlan) checkVersions(ctx context.Context, v *Vault, info pg.ServerInfo) {
	r := p.prep.r
	if src := r.catalog.Server; info.Major() < src.Major() {
		p.check("x", fmt.Sprintf("the server is %s, the dump came from the newer %s", info.Version, src.Version), "restore into a server of major "+strconv.Itoa(src.Major())+" or newer")
	} else {
		p.check("ok", fmt.Sprintf("server %s, dump from %s", info.Version, src.Version), "")
	}
	all, searched, err := pg.FindPrograms(ctx, v.c.Server.BinDir)
	if err == nil {
		r.restore, err = pg.ForRestore(all, searched, info.Major(), r.toc.Header.Version)
	}
	if err == nil {
		r.dump, err = pg.ForDump(all, searched, info.Major())
	}
	if err != nil {
		e := fault.As(err)
		p.check("x", e.What+": "+e.Why, e.Do)
		return
	}
	if fixed := r.restore.Outdated(); fixed != "" {
		p.check("!", "pg_restore "+r.restore.Version+" has known flaws with crafted archives; this archive's signature is checked first", "upgrade the PostgreSQL client programs to "+fixed)
	}
	p.check("ok", "pg_restore "+r.restore.Version+", pg_dump "+r.dump.Version+" for the comparison", "")
}

func (p *RestorePlan) checkTarget(ctx context.Context) error {
	r := p.prep.r
	if len(p.Target) > maxName || strings.ContainsRune(p.Target, 0) { // the server would cut it to another name
		p.check("x", fmt.Sprintf("%q cannot be the name of a database: it has %d bytes, at most %d are kept", p.Target, len(p.Target), maxName), "choose a shorter name")
		return nil
	}
	exists, empty, err := pg.DatabaseEmpty(ctx, r.server, p.Target)
	if err != nil {
		return err
	}
	switch {
	case !p.Empty && exists:
		p.check("x", "database "+p.Target+" exists already", "choose another name; pgvault never writes into a database that holds something")
	case !p.Empty:
		p.check("ok", "database "+p.Target+" is new; nothing existing is touched", "")
	case !exists:
		p.check("x", "database "+p.Target+" does not exist", "use --to-new "+p.Target)
	case !empty:
		p.check("x", "database "+p.Target+" is not empty", "choose another; rows would double, and nobody could tell them apart")
	default:
		p.check("ok", "database "+p.Target+" exists and is empty", "")
	}
	return nil
}

func (p *RestorePlan) describeSteps() {
	r := p.prep.r
	var rows, tables, bytes int64
	for _, w := range r.work() {
		bytes += w.bytes
		if w.kind == dumpfile.Data {
			tables++
			rows += w.want.rows
		}
	}
	switch {
	case r.only == nil && p.prep.l.near():
		p.step("check the SHA-256 of every stored byte (%s)", bytesText(p.Archive.Stored))
	case r.only == nil:
		p.step("fetch %s from %s, still encrypted, and check the SHA-256 of every byte", bytesText(p.Archive.Stored), p.Place)
	}
	for _, st := range p.roles {
		p.step("%s", st.Text)
	}
	if !p.Empty {
		p.step("create database %s", p.Target)
	}
	p.step("load %s of %s, %d at a time (%s)", plural(rows, "row"), plural(int64(tables), "table"), r.jobs, bytesText(bytes))
	p.step("build indexes and keys, then settings, grants and statistics")
	if !p.o.SkipCompare {
		p.step("compare every table's rows and SHA-256 with the archive's record")
	}
	same := []string{"pgvault restore", p.Archive.ID, "--to-new", safetext.Word(p.Target)}
	if p.Empty {
		same[2] = "--to-empty"
	}
	if len(p.o.Tables) > 0 {
		same = append(same, "--tables", safetext.Word(strings.Join(p.o.Tables, ",")))
	}
	if p.o.IntoSchema != "" {
		p.step("copy the chosen tables into the new schema %s of database %s, and compare every row there; no existing table is written", p.o.IntoSchema, p.Into)
		same = append(same, "--into-schema", safetext.Word(p.o.IntoSchema))
	}
	if p.o.Place != "" {
		same = append(same, "--place", safetext.Word(p.o.Place))
	}
	same = append(same, "--jobs", strconv.Itoa(r.jobs))
	for _, f := range p.o.Identities.Files {
		same = append(same, "-i", safetext.Word(f))
	}
	for flag, on := range map[string]bool{"--create-roles": p.o.CreateRoles, "--roles create": p.o.FullRoles, "--no-owner": p.o.NoOwner, "--no-tablespaces": p.o.NoTablespaces} {
		if on {
			same = append(same, flag)
		}
	}
	slices.Sort(p.Left)
	p.Same = strings.Join(same, " ")
}

func (p *RestorePlan) step(format string, a ...any) {
	p.Steps = append(p.Steps, fmt.Sprintf(format, a...))
}
