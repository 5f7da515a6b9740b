package vault

import (
	"fmt"
	"os"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/storetest/servers"
)

// TestVaultOnRealServers: backups of two hosts straight to a place on a server,
// read, restored in whole and in part, pinned and deleted there. Azure's test
// server has a certificate that only a process of its own can trust.
func TestVaultOnRealServers(t *testing.T) {
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE wide (i int, v text)", "INSERT INTO wide SELECT i, string_agg(md5(random()::text), '') FROM generate_series(1, 500) i, generate_series(1, 128) j GROUP BY i",
		"CREATE TABLE small AS SELECT 1 AS one", "SELECT lo_from_bytea(1000, decode(repeat('00ff', 1000), 'hex'))")
	for name, open := range map[string]func(t *testing.T) store.Store{
		"s3": func(t *testing.T) store.Store {
			s := servers.S3(t)
			return realPlace(t, s.URL("main"), s.Getenv, address.Options{})
		},
		"gcs": func(t *testing.T) store.Store {
			return realPlace(t, servers.GCS(t).URL("main"), os.Getenv, address.Options{})
		},
		"sftp": func(t *testing.T) store.Store {
			s := servers.SFTP(t)
			return realPlace(t, fmt.Sprintf("sftp://%s@%s:%d%s", s.User, s.Host, s.Port, s.Dir), s.Getenv, address.Options{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.conf.Places = []Place{{Name: name, Store: open(t)}}
			other := w.host("other")
			for range 2 {
				w.backup(BackupOptions{Database: "origin"}).ok(t)
				if err := other.Backup(t.Context(), BackupOptions{Database: "origin"}, nil); err != nil {
					t.Fatal(err)
				}
			}
			list := w.list()
			if len(list) != 4 || list[0].Seq != 4 || list[0].Proof != ProofReadable || states(list[0]) != name+" good" || list[0].Copies[0].ReadBack == nil {
				t.Fatalf("%+v", list)
			}
			a, old := list[0], list[3]
			w.verify(a.ID, ProofReadable).ok(t)
			w.verify(a.ID, ProofRestored).ok(t)
			w.restore(RestoreOptions{ID: a.ID, ToNew: "whole"}).ok(t)
			w.restore(RestoreOptions{ID: a.ID, ToNew: "one", Tables: []string{"wide"}}).ok(t)
			if n := one[int](t, "one", "SELECT count(*) FROM public.wide"); n != 500 {
				t.Errorf("%d rows", n)
			}
			v := w.vault()
			if err := v.Pin(t.Context(), old.ID, true); err != nil || !w.archive(old.ID).Pinned {
				t.Errorf("pin: %v", err)
			}
			if _, err := w.delete(old.ID, ""); fault.CodeOf(err) != fault.Refused {
				t.Errorf("a pinned one: %v", err)
			}
			if err := v.Pin(t.Context(), old.ID, false); err != nil {
				t.Error(err)
			}
			if _, err := w.delete(old.ID, ""); err != nil || len(w.list()) != 3 {
				t.Errorf("delete: %v, %d are left", err, len(w.list()))
			}
		})
	}
	quiet(t)
}

// TestLockedOnARealServer: a copy that a server keeps locked is shown with its
// day, and is not even tried to be deleted.
func TestLockedOnARealServer(t *testing.T) {
	s := servers.LockingS3(t)
	w := newWorld(t)
	locked := realPlace(t, s.URL("main"), s.Getenv, address.Options{ObjectLock: time.Hour})
	w.conf.Places = append(w.conf.Places, Place{Name: "s3", Store: locked})
	create(t, "origin", "")
	w.db.Copies = []string{"s3"}
	for range 2 {
		w.backup(BackupOptions{Database: "origin"}).ok(t)
	}
	list := w.list()
	c := list[1].Copies
	if len(c) != 1 || c[0].LockedUntil == nil || time.Until(*c[0].LockedUntil) < 50*time.Minute {
		t.Fatalf("%+v", c)
	}
	p, err := w.delete(list[1].ID, "")
	if fault.CodeOf(err) != fault.Refused || len(p.Files) > 0 {
		t.Errorf("%+v, %v", p, err)
	}
	if states(w.archive(list[1].ID)) != "s3 good" {
		t.Error("it is gone")
	}
	quiet(t)
}
