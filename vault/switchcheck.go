package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/safetext"
	"pgvault/vault/job"
)

// checkMay says whether this process may change anything at all.
func (p *SwitchPlan) checkMay(v *Vault) {
	if err := v.writable(); err != nil {
		e := fault.As(err)
		p.check("x", e.What+": "+e.Why, e.Do)
	}
	if v.c.StateDir == "" {
		p.check("x", "there is no state folder: a switch that is broken off could not be taken back", "set one, see pgvault help config")
	}
}

// checkServer holds what the server says against what a switch needs.
func (p *SwitchPlan) checkServer(ctx context.Context, v *Vault, w *pg.Switcher, live, other *pg.SwitchDatabase) error {
	rights, err := w.Rights(ctx)
	if err != nil {
		return err
	}
	p.checkRights(rights, w.Server.User, live, other)
	if w.Server.InRecovery {
		p.check("x", "the server is a standby: nothing can be renamed there", "switch on the primary")
	}
	for _, d := range []*pg.SwitchDatabase{live, other} {
		if len(d.Prepared) > 0 {
			p.check("x", fmt.Sprintf("%s of %s: the server renames nothing under them (%s)", plural(int64(len(d.Prepared)), "prepared transaction"), d.Name, strings.Join(firstFew(d.Prepared, 3), ", ")),
				"COMMIT PREPARED or ROLLBACK PREPARED each, in "+d.Name)
		}
		if len(d.Slots) > 0 {
			p.check("!", fmt.Sprintf("logical replication slots stay with the database that is %s now: %s; who reads them gets nothing more, and WAL is kept for them", d.Name, strings.Join(firstFew(d.Slots, 5), ", ")),
				"make them anew afterwards, and drop these: pg_drop_replication_slot")
		}
		if len(d.Subscriptions) > 0 {
			p.check("!", fmt.Sprintf("subscriptions stay with the database that is %s now: %s", d.Name, strings.Join(firstFew(d.Subscriptions, 5), ", ")), "look at them afterwards: ALTER SUBSCRIPTION")
		}
	}
	if live.Encoding != other.Encoding || live.Collate != other.Collate || live.CType != other.CType {
		p.check("!", fmt.Sprintf("%s has %s %s, %s has %s %s: rows may sort and compare otherwise", live.Name, live.Encoding, live.Collate, other.Name, other.Encoding, other.Collate), "")
	}
	if live.Tablespace != other.Tablespace {
		p.check("!", "new tables of "+other.Name+" lie in the tablespace "+other.Tablespace+", those of "+live.Name+" in "+live.Tablespace, "")
	}
	if live.Labels > 0 {
		p.check("!", "security labels of "+live.Name+" are not carried over", "give them again afterwards: SECURITY LABEL ON DATABASE")
	}
	if !live.Open && p.Goal == GoalSwitched && !p.Resumes {
		p.check("!", live.Name+" accepts no logins now; after the switch it does", "")
	}
	if vf := v.knownVault(ctx); vf != nil && !p.locked && job.Held(v.lockDir(), lockName(vf, p.Database)) {
		p.check("x", "a backup of "+p.Database+" is running; the switch would end it", "wait for it, or cancel it: pgvault job list")
	}
	p.checkSessions()
	return nil
}

func (p *SwitchPlan) checkRights(r pg.SwitchRights, user string, live, other *pg.SwitchDatabase) {
	var lacks []string
	if !r.Super && (!live.Mine || !other.Mine) {
		lacks = append(lacks, "own both databases")
	}
	if !r.CreateDB {
		lacks = append(lacks, "have CREATEDB")
	}
	if !r.Signal {
		lacks = append(lacks, "be a member of pg_signal_backend")
	}
	if len(lacks) > 0 {
		p.check("x", "the role "+user+" would have to "+strings.Join(lacks, ", "), "let a superuser do it ([server] user), or point your application at "+other.Name)
		return
	}
	p.check("ok", "the role "+user+" may rename both and end sessions", "")
}

func (p *SwitchPlan) checkSessions() {
	n := len(p.Live.Sessions) + len(p.Other.Sessions)
	if n == 0 {
		p.check("ok", "nobody is logged in to either", "")
		return
	}
	text := plural(int64(n), "session") + " will be ended"
	if w := p.Live.Writing + p.Other.Writing; w > 0 {
		text += fmt.Sprintf("; %d of them have written and not committed, and lose that", w)
	}
	p.check("!", text, "")
}

// checkProof believes what the restore noted, if the note is of this very
// database.
func (p *SwitchPlan) checkProof(ctx context.Context, v *Vault, systemID string) error {
	n := v.restoredNoteOf(p.o.With)
	again := "pgvault restore latest:" + safetext.Word(p.Database) + " proves what it restores"
	switch {
	case n == nil:
		p.check("x", "nothing here has proven "+p.o.With+": no whole restore into it came to the comparison", again)
		return nil
	case n.OID != p.Other.OID || n.SystemID != systemID:
		p.check("x", p.o.With+" has the name of the database that was proven "+stampOf(n.At)+", but is another one", again)
		return nil
	}
	p.Archive, p.BackupAt, p.Proven, p.Equal, p.Tables = n.Archive, n.BackupAt, n.At, n.TablesEqual, n.TablesTotal
	p.Lost = v.now().Sub(n.BackupAt)
	if n.NoOwner {
		p.check("x", "owners and grants were left out of the restore: the application's roles could do nothing", "restore again without --no-owner")
	}
	p.accept(n)
	clean := len(p.Differences) == 0
	text := fmt.Sprintf("%d of %d tables equal to archive %s, proven %s", n.TablesEqual, n.TablesTotal, n.Archive, stampOf(n.At))
	if clean {
		p.check("ok", text, "")
	} else {
		p.check("!", text, "")
	}
	p.checkAccepted()
	mark, err := pg.MarkOf(ctx, v.c.Server, p.o.With)
	switch {
	case err != nil && fault.CodeOf(err) != fault.DBUnreachable:
		return err
	case err != nil:
		p.check("x", p.o.With+" lets nobody in: "+oneLine(err), "it must accept logins before it gets a name that clients use")
	case mark.Written > n.Written:
		p.check("!", fmt.Sprintf("since %s was proven, %s of it changed, by the server's count", p.o.With, plural(mark.Written-n.Written, "row")), "if nobody should have, restore again")
	case mark.Written < n.Written:
		p.check("!", "whether "+p.o.With+" was written to since it was proven is not known: the server has lost its count", "")
	default:
		p.check("ok", "no row was written in "+p.o.With+" since it was proven", "")
	}
	p.check("!", fmt.Sprintf("what was written to %s after the backup of %s (%s ago) is not in %s; it will be in %s alone", p.Database, stampOf(n.BackupAt), span(p.Lost), p.o.With, p.Old), "")
	return nil
}

// accept lists what differs from the archive, with what was accepted of it.
func (p *SwitchPlan) accept(n *restoredNote) {
	add := func(name, why string) {
		if !slices.ContainsFunc(p.Differences, func(d SwitchDifference) bool { return d.Name == name }) {
			p.Differences = append(p.Differences, SwitchDifference{name, why, slices.Contains(p.o.Accept, name)})
		}
	}
	for _, d := range n.Differences {
		add(d.Table, d.Why)
	}
	if n.Errors > 0 {
		add("pg_restore errors", fmt.Sprintf("%d: %s", n.Errors, strings.Join(n.FirstErrors, "; ")))
	}
	if n.Database != p.Database {
		add(n.Database, "it is an archive of "+n.Database+", not of "+p.Database)
	}
}

func (p *SwitchPlan) checkAccepted() {
	for _, d := range p.Differences {
		if d.Accepted {
			p.check("!", "accepted as different: "+d.Name+": "+d.Why, "")
		} else {
			p.check("x", d.Name+": "+d.Why, "restore again, or accept it by its name: --accept "+safetext.Word(d.Name))
		}
	}
	for _, a := range p.o.Accept {
		if !slices.ContainsFunc(p.Differences, func(d SwitchDifference) bool { return d.Name == a }) {
			p.check("x", "nothing called "+a+" differs, so it cannot be accepted", "leave --accept "+safetext.Word(a)+" out")
		}
	}
}
