package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"pgvault/vault/archive"
	"pgvault/vault/store/disk"
	"pgvault/vault/store/storetest/servers"
)

// copyResults are the times to bring one archive to a place, by pgvault and
// by rclone, from the same disk to the same servers on this machine.
type copyResults struct {
	size         int64
	s3, rcloneS3 series
	sftp, rclone series
	both         series // one reading for both places
}

// copyBench is the servers, and an archive in a place on disk.
type copyBench struct {
	*bench
	s3   *servers.S3Server
	sftp *servers.SFTPServer
	conf string
	id   string
	from string // the archive's folder
}

// serverTB lets the starters of tests' servers be used outside a test: what
// they say of a failure is panicked with, and caught in measureCopies.
type serverTB struct {
	dir   string
	clean []func()
	n     int
}

type serverFailed struct{ error }

func (t *serverTB) Helper()          {}
func (t *serverTB) Cleanup(f func()) { t.clean = append(t.clean, f) }
func (t *serverTB) Fatalf(format string, args ...any) {
	panic(serverFailed{fmt.Errorf(format, args...)})
}

func (t *serverTB) TempDir() string {
	t.n++
	dir := filepath.Join(t.dir, strconv.Itoa(t.n))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatalf("%v", err)
	}
	return dir
}

func (t *serverTB) end() {
	for i := len(t.clean) - 1; i >= 0; i-- {
		t.clean[i]()
	}
}

// measureCopies copies an archive of about size bytes, b.runs times each way.
func (b *bench) measureCopies(ctx context.Context, size int64) (r *copyResults, err error) {
	fmt.Fprintf(os.Stderr, "bench: copies of an archive of %s\n", mb(size))
	tb := &serverTB{dir: b.path("out", "servers")}
	defer tb.end()
	defer func() {
		if failed := recover(); failed != nil {
			f, ok := failed.(serverFailed)
			if !ok {
				panic(failed)
			}
			err = f.error
		}
	}()
	c := &copyBench{bench: b, s3: servers.S3(tb), sftp: servers.SFTP(tb)}
	if err := c.makeArchive(ctx, size); err != nil {
		return nil, err
	}
	if err := c.configure(); err != nil {
		return nil, err
	}
	b.more = append(c.s3.Env(), "HOME="+c.sftp.Home)
	defer func() { b.more = nil }()
	r = &copyResults{size: size}
	for i := range b.runs {
		fmt.Fprintf(os.Stderr, "bench: copies, round %d of %d\n", i+1, b.runs)
		if err := c.round(ctx, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// makeArchive puts a signed archive whose main part is noise into a place.
func (c *copyBench) makeArchive(ctx context.Context, size int64) error {
	signer, err := archive.LoadSigner(c.path("out", "signing_key"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.path("out", "copies"), 0o700); err != nil {
		return err
	}
	place, err := disk.Init("file:" + c.path("out", "copies"))
	if err != nil {
		return err
	}
	defer place.Close()
	now := time.Now().UTC().Truncate(time.Second)
	noise := rand.NewChaCha8([32]byte{1})
	vf, err := archive.NewVault("bench", now, noise, signer)
	if err == nil {
		err = vf.Write(ctx, place)
	}
	if err != nil {
		return err
	}
	if c.id, err = archive.NewID(now, noise); err != nil {
		return err
	}
	folder := archive.Folder("bench", "copies", c.id)
	c.from = c.path("out", "copies", filepath.FromSlash(folder))
	m := archive.Manifest{Format: archive.Format, Vault: vf.ID, ID: c.id, Database: "copies", Sequence: 1, Server: "15.18", DumpVersion: "15.18",
		Pgvault: "bench", Started: now, Finished: now, Scope: "whole", Tables: 3, Rows: 6002, Bytes: size, Tags: []string{},
		Recipients: []archive.Recipient{{Name: "duty", Kind: archive.KindX25519}}}
	for _, name := range []string{archive.MainPart, archive.GlobalsPart, archive.ContentsPart} {
		n := map[string]int64{archive.MainPart: size, archive.GlobalsPart: 2000, archive.ContentsPart: 20_000}[name]
		w, err := place.Create(ctx, folder+name)
		if err != nil {
			return err
		}
		sum := sha256.New()
		if _, err := io.CopyN(io.MultiWriter(w, sum), noise, n); err != nil {
			return errors.Join(err, w.Abort())
		}
		if err := w.Commit(ctx); err != nil {
			return err
		}
		m.Parts = append(m.Parts, archive.Part{Name: name, Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))})
	}
	return archive.Seal(ctx, place, folder, &m, signer)
}

// configure writes a configuration with the three places. Copies are not read
// back once more after they were compared: rclone does not do that either.
func (c *copyBench) configure() error {
	text, err := os.ReadFile(c.config(false))
	if err != nil {
		return err
	}
	head, _, _ := strings.Cut(string(text), "[[place]]")
	for _, p := range [][2]string{
		{"disk", "file:" + c.path("out", "copies")}, {"s3", c.s3.URL("pgvault")},
		{"sftp", fmt.Sprintf("sftp://%s@%s:%d%s", c.sftp.User, c.sftp.Host, c.sftp.Port, c.sftp.Dir)},
	} {
		head += fmt.Sprintf("[[place]]\nname = %q\nurl = %q\nread_back = \"never\"\n", p[0], p[1])
	}
	c.conf = c.path("out", "copies.toml")
	return os.WriteFile(c.conf, []byte(head), 0o600)
}

// round takes every way once, each into empty places.
func (c *copyBench) round(ctx context.Context, r *copyResults) error {
	rcloneS3 := fmt.Sprintf("env -u AWS_CA_BUNDLE RCLONE_S3_ENDPOINT=%s RCLONE_S3_REGION=%s rclone copy --ca-cert %s --config '' %s :s3,provider=Other,env_auth=true,no_check_bucket=true:%s/rclone",
		c.s3.Endpoint, c.s3.Region, c.s3.CAFile, c.from, c.s3.Bucket)
	rcloneSFTP := fmt.Sprintf("rclone copy --config '' %s :sftp,host=%s,port=%d,user=%s,key_file=%s,known_hosts_file=%s:%s/rclone",
		c.from, c.sftp.Host, c.sftp.Port, c.sftp.User, c.sftp.KeyFile, c.sftp.KnownHosts, c.sftp.Dir)
	copyTo := func(places ...string) func() (sample, error) {
		args := []string{"copy", c.id, "--json", "-c", c.conf}
		for _, p := range places {
			args = append(args, "--to", p)
		}
		return func() (sample, error) { return c.pgvault(ctx, args...) }
	}
	for _, way := range []struct {
		s  *series
		do func() (sample, error)
	}{
		{&r.s3, copyTo("s3")},
		{&r.rcloneS3, func() (sample, error) { return c.shell(ctx, rcloneS3) }},
		{&r.sftp, copyTo("sftp")},
		{&r.rclone, func() (sample, error) { return c.shell(ctx, rcloneSFTP) }},
		{&r.both, copyTo("s3", "sftp")},
	} {
		if err := c.empty(); err != nil {
			return err
		}
		x, err := way.do()
		if err != nil {
			return err
		}
		*way.s = append(*way.s, x)
	}
	return c.empty()
}

// empty takes away what was copied, behind the servers' backs.
func (c *copyBench) empty() error {
	return errors.Join(os.RemoveAll(filepath.Join(c.s3.Dir, c.s3.Bucket, "pgvault")), os.RemoveAll(filepath.Join(c.s3.Dir, c.s3.Bucket, "rclone")),
		os.RemoveAll(filepath.Join(c.sftp.Dir, "bench")), os.RemoveAll(filepath.Join(c.sftp.Dir, "rclone")))
}

// print writes what was measured; the ratios are of the medians.
func (r *copyResults) print(w io.Writer) {
	fmt.Fprintf(w, "\nCopies of an archive of %s to servers on this machine: versitygw with TLS, and sshd. Both compare what arrived: over SFTP rclone by md5sum on the server, pgvault by SHA-256 there, and an fsync.\n", mb(r.size))
	fmt.Fprint(w, "\n| copy | seconds | MB/s | peak memory |\n|---|---:|---:|---:|\n")
	for _, c := range []struct {
		name string
		s    series
		of   int64
	}{
		{"`pgvault copy --to s3`", r.s3, r.size}, {"`rclone copy` to S3", r.rcloneS3, r.size},
		{"`pgvault copy --to sftp`", r.sftp, r.size}, {"`rclone copy` to SFTP", r.rclone, r.size},
		{"`pgvault copy --to s3 --to sftp`", r.both, 2 * r.size},
	} {
		peak := ""
		if c.s.peak() > 0 {
			peak = fmt.Sprintf("%.0f MiB", float64(c.s.peak())/(1<<20))
		}
		fmt.Fprintf(w, "| %s | %.2f | %.0f | %s |\n", c.name, c.s.seconds(), float64(c.of)/1e6/c.s.seconds(), peak)
	}
	fmt.Fprint(w, "\n| what | measured | wanted at most |\n|---|---:|---:|\n")
	fmt.Fprintf(w, "| copy to S3 / `rclone copy` | %.2f | 1.00 |\n", r.s3.seconds()/r.rcloneS3.seconds())
	fmt.Fprintf(w, "| copy to SFTP / `rclone copy` | %.2f | 1.00 |\n", r.sftp.seconds()/r.rclone.seconds())
	fmt.Fprintf(w, "| copy to both / the two by `rclone copy` | %.2f | 1.00 |\n", r.both.seconds()/(r.rcloneS3.seconds()+r.rclone.seconds()))
	fmt.Fprintf(w, "| peak memory, copy to both | %.0f MiB | 128 MiB |\n", float64(r.both.peak())/(1<<20))
}
