package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pgvault/pg"
	"pgvault/pg/pgtest"
	"pgvault/sample"
)

// anotherServer is a server that has nothing of the one that was backed up.
func anotherServer(t *testing.T) *pgtest.Cluster {
	t.Helper()
	bare, err := pgtest.Start(context.Background(), pgtest.Options{BinDir: cluster.BinDir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bare.Stop(); err != nil {
			t.Error(err)
		}
	})
	return bare
}

// TestRecoveryWithoutPgvault runs the lines that README.md prints for the day
// on which there is no pgvault: on another server, with Debian's programs,
// with nothing but the variables that the text names. What comes back is
// compared with what was backed up.
func TestRecoveryWithoutPgvault(t *testing.T) {
	dir, database := t.TempDir(), "school_before"
	fillSchool(t, database)
	archive := backUpSchool(t, dir, database)
	bare := anotherServer(t)
	programs := filepath.Join(dir, "bin")
	for _, name := range []string{"ssh-keygen", "sha256sum", "sed", "age", "zstd", "psql", "createdb", "pg_restore"} {
		link(t, programs, name)
	}
	cmd := exec.Command("/bin/bash", "-eu", "-o", "pipefail", "-c", readmeBlock(t, "Getting data back without pgvault"))
	cmd.Env = []string{"PATH=" + programs, "PGHOST=" + bare.SocketDir, "PGUSER=" + bare.Superuser,
		"ARCHIVE=" + archive, "SIGNERS=" + filepath.Join(dir, "allowed_signers"), "KEY=" + filepath.Join(dir, "key.txt"), "NEWDB=school_after"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`Good "pgvault-manifest@v1" signature for pgvault`, "main.dump.zst.age: OK", "globals.sql.zst.age: OK", "contents.json.zst.age: OK"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the lines did not say %q\n%s", want, out)
		}
	}
	before, after := digests(t, cluster, database), digests(t, bare, "school_after")
	if strings.Count(before, "\n") < 60 || before != after {
		t.Errorf("the data is not what it was\nbefore:\n%s\nafter:\n%s", before, after)
	}
	if roles := query(t, bare, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'school\\_%'"); roles != "4" {
		t.Errorf("%s of the 4 roles came back", roles)
	}
}

// TestRecoveryLinesRefuse proves that the lines stop before pg_restore when
// the archive is not what was signed.
func TestRecoveryLinesRefuse(t *testing.T) {
	dir, database := t.TempDir(), "recovery_refuses"
	if err := pg.Exec(t.Context(), cluster.Settings(), "postgres", "CREATE DATABASE "+database); err != nil {
		t.Fatal(err)
	}
	archive := backUpSchool(t, dir, database)
	lines := readmeBlock(t, "Getting data back without pgvault")
	try := func(what string) {
		t.Helper()
		cmd := exec.Command("/bin/bash", "-eu", "-o", "pipefail", "-c", lines)
		cmd.Env = append(os.Environ(), append(serverEnv(), "PATH="+os.Getenv("PATH")+":"+cluster.BinDir, "ARCHIVE="+archive,
			"SIGNERS="+filepath.Join(dir, "allowed_signers"), "KEY="+filepath.Join(dir, "key.txt"), "NEWDB=recovery_refused")...)
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("%s: the lines went through\n%s", what, out)
		}
		if n := query(t, cluster, "postgres", "SELECT count(*) FROM pg_database WHERE datname = 'recovery_refused'"); n != "0" {
			t.Errorf("%s: a database was made", what)
		}
	}
	for _, name := range []string{"manifest.json", "main.dump.zst.age", "globals.sql.zst.age", "contents.json.zst.age"} {
		path := filepath.Join(archive, name)
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		src[len(src)/2] ^= 1
		write(t, path, src)
		try("one bit of " + name)
		src[len(src)/2] ^= 1
		write(t, path, src)
	}
	write(t, filepath.Join(dir, "allowed_signers"), []byte("pgvault "+publicKey(t, filepath.Join(dir, "stranger"))))
	try("a stranger's signature")
}

func fillSchool(t *testing.T, database string) {
	t.Helper()
	s := cluster.Settings()
	if err := pg.Exec(t.Context(), s, "postgres", "CREATE DATABASE "+database+" TEMPLATE template0"); err != nil {
		t.Fatal(err)
	}
	if err := pg.Exec(t.Context(), s, database, append([]string{sample.Roles(), sample.Schema()}, sample.Data(1<<20)...)...); err != nil {
		t.Fatal(err)
	}
}

// backUpSchool backs a database up with pgvault's own process, and puts the
// key and the allowed signers beside the vault as README.md tells. It gives
// the archive's folder.
func backUpSchool(t *testing.T, dir, database string) string {
	t.Helper()
	config := filepath.Join(dir, "config.toml")
	tell(t, "age-keygen", "-o", filepath.Join(dir, "key.txt"))
	recipient := tell(t, "age-keygen", "-y", filepath.Join(dir, "key.txt"))
	tell(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, "stranger"))
	t.Setenv("STATE_DIRECTORY", filepath.Join(dir, "state"))
	for _, v := range serverEnv() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	tell(t, "pgvault", "-c", config, "init", "--place", "file:"+filepath.Join(dir, "place"),
		"--recipient", recipient, "--allow-one-recipient", "--database", database)
	tell(t, "pgvault", "-c", config, "backup")
	write(t, filepath.Join(dir, "allowed_signers"), []byte("pgvault "+publicKey(t, filepath.Join(dir, "signing_key"))))
	found, err := filepath.Glob(filepath.Join(dir, "place/main", database, "*", "manifest.json"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%d archives, %v", len(found), err)
	}
	return filepath.Dir(found[0])
}

func publicKey(t *testing.T, private string) string {
	t.Helper()
	return tell(t, "ssh-keygen", "-y", "-f", private) + "\n"
}

// readmeBlock gives the first block of shell below a heading of README.md.
func readmeBlock(t *testing.T, heading string) string {
	t.Helper()
	src, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(src), "\n## "+heading+"\n")
	block := regexp.MustCompile("(?s)\n```sh\n(.*?)```").FindStringSubmatch(section)
	if !ok || block == nil {
		t.Fatalf("README.md has no block of shell below %q", heading)
	}
	return block[1]
}

// link makes a program that is installed on this host the only one of its
// name in dir.
func link(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(cluster.BinDir, name)
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// digests gives a line for every table, materialized view and sequence of a
// database, and for its large objects: rows and an MD5 of all values.
func digests(t *testing.T, c *pgtest.Cluster, database string) string {
	t.Helper()
	tables := query(t, c, database, `SELECT format('SELECT %L, count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text COLLATE "C")) FROM %I.%I t;', nspname || '.' || relname, nspname, relname)
		FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
		WHERE relkind IN ('r', 'p', 'm') AND relispopulated AND nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY nspname COLLATE "C", relname COLLATE "C"`)
	return query(t, c, database, "SET timezone = 'UTC'; "+tables+`
		SELECT 'large objects', count(*), md5(string_agg(md5(lo_get(oid)), ',' ORDER BY oid)) FROM pg_largeobject_metadata;
		SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2;`)
}

func query(t *testing.T, c *pgtest.Cluster, database, sql string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(c.BinDir, "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", c.SocketDir, "-U", c.Superuser, "-d", database)
	cmd.Stdin = strings.NewReader(sql)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// tell runs a program and gives what it wrote to standard output.
func tell(t *testing.T, program string, args ...string) string {
	t.Helper()
	var said strings.Builder
	cmd := exec.Command(program, args...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, said.String())
	}
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
