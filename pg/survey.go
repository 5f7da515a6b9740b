package pg

import (
	"context"
	"path/filepath"

	"github.com/jackc/pgx/v5"
)

// Survey is what set-up wants to know of a server before any backup: who we
// are there, what that role may read, which databases there are, where it
// keeps its data.
type Survey struct {
	Server ServerInfo
	// Where is the server as a person would say it: "db1:5432", or the path
	// of its Unix socket.
	Where string
	// Local tells that the server runs on this machine: the session came
	// through a Unix socket.
	Local bool
	// DataDir is the server's data directory, a path on the server's own
	// machine; empty where the role may not know it.
	DataDir string
	// ReadsAll: the role reads every table, by pg_read_all_data or because it
	// is a superuser. SeesAllRows: row-level security hides nothing from it.
	ReadsAll    bool
	SeesAllRows bool
	// Grants are the statements a superuser runs so that both become true,
	// none where they are. Versions before 14 have no pg_read_all_data: there
	// the role is given each schema and table by hand.
	Grants    []string
	Databases []DatabaseSize
}

// DatabaseSize is one database that accepts connections.
type DatabaseSize struct {
	Name  string
	Bytes int64 // on the server's disk; -1: the role may not know
	// MayConnect tells whether the role may connect to it at all.
	MayConnect bool
}

// Bytes is the sum of the sizes of the databases that are named; those of
// unknown size count nothing.
func (s *Survey) Bytes(names []string) int64 {
	want := map[string]bool{}
	for _, n := range names {
		want[n] = true
	}
	var sum int64
	for _, d := range s.Databases {
		if want[d.Name] && d.Bytes > 0 {
			sum += d.Bytes
		}
	}
	return sum
}

// LookAt connects and surveys the server. It changes nothing there. Errors are
// those of Connect, or say what could not be read.
func LookAt(ctx context.Context, s Settings) (*Survey, error) {
	cfg, err := s.Config("")
	if err != nil {
		return nil, err
	}
	conn, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	v := &Survey{Where: serverName(cfg), Local: filepath.IsAbs(cfg.Host)}
	if v.Server, err = Server(ctx, conn); err != nil {
		return nil, err
	}
	if err := v.readRole(ctx, conn); err != nil {
		return nil, queryFault(ctx, "connect", "the role's rights cannot be read", err)
	}
	rows, _ := conn.Query(ctx, `SELECT datname::text,
		CASE WHEN pg_catalog.has_database_privilege(oid, 'CONNECT') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
			THEN pg_catalog.pg_database_size(oid) ELSE -1 END,
		pg_catalog.has_database_privilege(oid, 'CONNECT')
		FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname`)
	v.Databases, err = pgx.CollectRows(rows, pgx.RowToStructByPos[DatabaseSize])
	if err != nil {
		return nil, queryFault(ctx, "catalog", "the list of databases cannot be read", err)
	}
	return v, nil
}

// readRole reads the role's rights and, where it may know it, the data
// directory.
func (s *Survey) readRole(ctx context.Context, conn *pgx.Conn) error {
	readAll := "false"
	if s.Server.Major() >= 14 {
		readAll = "pg_catalog.pg_has_role('pg_read_all_data', 'USAGE')"
	}
	var knows bool
	err := conn.QueryRow(ctx, `SELECT r.rolsuper OR `+readAll+`, r.rolsuper OR r.rolbypassrls,
		r.rolsuper OR pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE')
		FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`).Scan(&s.ReadsAll, &s.SeesAllRows, &knows)
	if err != nil {
		return err
	}
	if knows {
		if err := conn.QueryRow(ctx, `SELECT pg_catalog.current_setting('data_directory')`).Scan(&s.DataDir); err != nil {
			return err
		}
	}
	role := quoteIdent(s.Server.User)
	if !s.ReadsAll && s.Server.Major() >= 14 {
		s.Grants = append(s.Grants, "GRANT pg_read_all_data TO "+role+";")
	}
	if !s.SeesAllRows {
		s.Grants = append(s.Grants, "ALTER ROLE "+role+" BYPASSRLS;")
	}
	return nil
}
