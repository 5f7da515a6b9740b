package setup

import (
	"context"
	"fmt"
	"strings"

	"pgvault/fault"
	"pgvault/guide"
	"pgvault/pg"
	"pgvault/vault"
)

// Server is a server that was looked at, with what there is to say of it.
type Server struct {
	pg.Survey
	Settings pg.Settings
	Asked    string      // what a person typed to reach it
	Programs pg.Programs // the client programs that would dump it
	Checks   []vault.Check
}

// ParseServer makes settings from what a person types: nothing (libpq's own
// environment and files), service:NAME, or a connection string.
func ParseServer(text string) (pg.Settings, error) {
	text = strings.TrimSpace(text)
	if name, found := strings.CutPrefix(text, "service:"); found {
		if name == "" {
			return pg.Settings{}, &fault.Error{Op: "connect", What: "service: without a name", Why: "a name from pg_service.conf belongs behind it",
				Left: "nothing was asked of any server", Do: "write service:NAME", Code: fault.Usage}
		}
		return pg.Settings{Service: name}, nil
	}
	if hasPassword(text) {
		return pg.Settings{}, &fault.Error{Op: "connect", What: "the connection string holds a password", Why: "it would stand in the configuration, which others may read",
			Left: "nothing was written", Do: "put the password into ~/.pgpass (mode 0600) and leave it out here", Code: fault.Refused}
	}
	return pg.Settings{Conninfo: text}, nil
}

// hasPassword tells whether a connection string holds one, as a key or in a
// URI.
func hasPassword(text string) bool {
	if strings.Contains(strings.ReplaceAll(text, " ", ""), "password=") {
		return true
	}
	_, rest, uri := strings.Cut(text, "://")
	if !uri {
		return false
	}
	authority, _, _ := strings.Cut(rest, "/")
	user, _, at := strings.Cut(authority, "@")
	return at && strings.Contains(user, ":")
}

// Connect looks at the server: its version, what the role may read, the
// databases with their sizes, and the client programs for it. Nothing is
// changed there. What stands in the way of a backup is a line in Checks; an
// error means that there is no session at all.
func Connect(ctx context.Context, s pg.Settings) (*Server, error) {
	survey, err := pg.LookAt(ctx, s)
	if err != nil {
		return nil, err
	}
	v := &Server{Survey: *survey, Settings: s}
	role := survey.Server.User
	standby := ""
	if survey.Server.InRecovery {
		standby = ", a standby"
	}
	v.Checks = append(v.Checks, ok("PostgreSQL %s at %s%s, as %s", survey.Server.Version, survey.Where, standby, role))
	all, searched, err := pg.FindPrograms(ctx, s.BinDir)
	if err == nil {
		v.Programs, err = pg.ForDump(all, searched, survey.Server.Major())
	}
	if err != nil {
		f := fault.As(err)
		v.Checks = append(v.Checks, bad(f.Do, "%s", f.What))
	} else {
		v.Checks = append(v.Checks, ok("pg_dump %s in %s", v.Programs.Version, v.Programs.Dir))
	}
	v.Checks = append(v.Checks, v.rights()...)
	v.Checks = append(v.Checks, ok("%s, %s", count(len(v.Databases), "database"), guide.Size(v.Bytes(v.DatabaseNames()))))
	return v, nil
}

// rights says what the role lacks for a whole backup. A lack is no reason to
// stop here: the role may be granted each thing singly, and each backup checks
// what it reads.
func (s *Server) rights() []vault.Check {
	role := s.Server.User
	switch {
	case s.Server.SuperUser:
		return []vault.Check{note("a role of its own needs less: CREATE ROLE pgvault LOGIN; GRANT pg_read_all_data TO pgvault;", "%s is a superuser: it may read everything, and change everything", role)}
	case s.ReadsAll && s.SeesAllRows:
		return []vault.Check{ok("%s may read every table and every row", role)}
	}
	var out []vault.Check
	if !s.ReadsAll {
		do := "as a superuser: GRANT USAGE and GRANT SELECT on each schema and table"
		if s.Server.Major() >= 14 {
			do = "as a superuser: " + s.Grants[0]
		}
		out = append(out, note(do, "%s has not pg_read_all_data: a table that it may not read stops the backup", role))
	} else {
		out = append(out, ok("%s may read every table (pg_read_all_data)", role))
	}
	if !s.SeesAllRows {
		out = append(out, note("as a superuser: "+s.Grants[len(s.Grants)-1], "%s has not BYPASSRLS: a table with row-level security stops the backup", role))
	}
	return out
}

// DatabaseNames gives the names of all databases.
func (s *Server) DatabaseNames() []string {
	out := make([]string, len(s.Databases))
	for i, d := range s.Databases {
		out[i] = d.Name
	}
	return out
}

// CheckDatabases says what a choice of databases means here: chosen is what
// the configuration would select, all is what the server has.
func (s *Server) CheckDatabases(chosen []string) []vault.Check {
	have := map[string]pg.DatabaseSize{}
	for _, d := range s.Databases {
		have[d.Name] = d
	}
	var missing, closed []string
	for _, n := range chosen {
		switch d, there := have[n]; {
		case !there:
			missing = append(missing, n)
		case !d.MayConnect:
			closed = append(closed, n)
		}
	}
	if len(chosen) == 0 {
		return []vault.Check{bad("choose at least one", "no database is chosen")}
	}
	out := []vault.Check{ok("%d of %s, %s on the server's disk", len(chosen)-len(missing), count(len(s.Databases), "database"), guide.Size(s.Bytes(chosen)))}
	if len(missing) > 0 {
		out = append(out, bad("the server has: "+names(s.DatabaseNames()), "not on this server: %s", names(missing)))
	}
	if len(closed) > 0 {
		out = append(out, bad(fmt.Sprintf("as its owner: GRANT CONNECT ON DATABASE … TO %s", s.Server.User), "%s may not connect to %s", s.Server.User, names(closed)))
	}
	return out
}
