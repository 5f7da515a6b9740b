package pg

// Catalog is what a database holds beside its rows, read in one snapshot:
// what a backup writes down and what a restored database is compared with.
type Catalog struct {
	Server     ServerInfo   `json:"server"`
	Database   DatabaseInfo `json:"database"`
	Tables     []TableStat  `json:"tables"` // with partitioned tables and materialized views, without temporary ones
	Extensions []Extension  `json:"extensions"`
	Roles      []Role       `json:"roles"`
	Sequences  []Sequence   `json:"sequences"`
	Facts      Facts        `json:"facts"`
	// RowSecurity are tables some of whose rows this role may not see:
	// pg_dump will refuse them. Quoted names.
	RowSecurity []string `json:"row_security"`
	// Unreadable are tables and sequences that this role may not read at
	// all: pg_dump will refuse them too. Quoted names.
	Unreadable []string `json:"unreadable"`
	// LargeObjects is how many there are; of them this role may not read
	// UnreadableLargeObjects, some of which are in UnreadableSample.
	LargeObjects           int64    `json:"large_objects"`
	UnreadableLargeObjects int64    `json:"unreadable_large_objects"`
	UnreadableSample       []uint32 `json:"unreadable_sample"`
}

// ServerInfo is the server that a session speaks to.
type ServerInfo struct {
	Version    string `json:"version"` // "15.18"
	Num        int    `json:"num"`     // 150018
	SystemID   string `json:"system_id"`
	InRecovery bool   `json:"in_recovery"` // it is a standby
	SuperUser  bool   `json:"superuser"`
	User       string `json:"user"`
}

// Major is the major version: 15.
func (s ServerInfo) Major() int { return s.Num / 10000 }

// DatabaseInfo is what a dump without --create leaves out: all that belongs
// to the database itself.
type DatabaseInfo struct {
	Name             string    `json:"name"`
	Owner            string    `json:"owner"`
	Encoding         string    `json:"encoding"`
	Collate          string    `json:"collate"`
	CType            string    `json:"ctype"`
	Provider         string    `json:"provider"`   // "c" libc, "i" ICU, "b" builtin
	ICULocale        string    `json:"icu_locale"` // the locale of the providers "i" and "b"
	ICURules         string    `json:"icu_rules"`
	CollationVersion string    `json:"collation_version"`
	Size             int64     `json:"size"`       // bytes on the server's disk, with indexes
	ConnLimit        int       `json:"conn_limit"` // -1: none
	Comment          string    `json:"comment"`
	Tablespace       string    `json:"tablespace"`
	Settings         []Setting `json:"settings"`
	Grants           []Grant   `json:"grants"` // nil: the default ones
}

// Setting is one ALTER DATABASE … SET or, with Role, ALTER ROLE … IN
// DATABASE … SET. Value is as pg_db_role_setting holds it.
type Setting struct {
	Role  string `json:"role"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Grant is one privilege on the database; Grantee "" is PUBLIC.
type Grant struct {
	Grantee   string `json:"grantee"`
	Privilege string `json:"privilege"`
	Grantable bool   `json:"grantable"`
}

// TableStat is a relation that holds rows, with the server's estimates.
type TableStat struct {
	Schema  string `json:"schema"`
	Name    string `json:"name"`
	Kind    byte   `json:"kind"`     // as pg_class.relkind: 'r', 'p', 'm'
	EstRows int64  `json:"est_rows"` // -1: unknown, never analyzed
	Size    int64  `json:"size"`     // bytes, with TOAST, without indexes
}

// Extension is an installed extension.
type Extension struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Schema  string `json:"schema"`
}

// Role is a role that the database's objects, grants, policies or settings
// refer to. Its password is not here.
type Role struct {
	Name        string `json:"name"`
	Super       bool   `json:"super"`
	Inherit     bool   `json:"inherit"`
	CreateRole  bool   `json:"create_role"`
	CreateDB    bool   `json:"create_db"`
	Login       bool   `json:"login"`
	Replication bool   `json:"replication"`
	BypassRLS   bool   `json:"bypass_rls"`
}

// Sequence is where a sequence stands. Sequences know no snapshots: a proof
// compares with the value in the dump, not with this one.
type Sequence struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	Last   *int64 `json:"last"` // nil: not used yet, or not readable
}

// Facts are what the same queries say of a database before its dump and after
// its restore. Objects of extensions are not in them; names are quoted and
// sorted bytewise.
type Facts struct {
	InvalidIndexes         []string `json:"invalid_indexes"`
	UnvalidatedConstraints []string `json:"unvalidated_constraints"` // "table: constraint"
	UnpopulatedMatviews    []string `json:"unpopulated_matviews"`
	Indexes                int      `json:"indexes"`
	Constraints            int      `json:"constraints"` // without NOT NULL, which only newer servers count
	Triggers               int      `json:"triggers"`
	Functions              int      `json:"functions"`
	Views                  int      `json:"views"`
	Matviews               int      `json:"matviews"`
}
