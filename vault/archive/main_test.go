package archive

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"filippo.io/age"

	"pgvault/fault"
	"pgvault/vault/store/disk"
)

// childEnv makes the test binary a child that seals an archive, tells on
// standard output how far it is, and can be killed there.
const childEnv = "PGVAULT_ARCHIVE_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := child(dir, os.Getenv(childEnv+"_MIB")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child seals mib MiB. After each step it says its name and waits for a line.
func child(dir, mib string) error {
	ctx := context.Background()
	n, err := strconv.Atoi(mib)
	if err != nil {
		return err
	}
	place, err := disk.Init(dir)
	if err != nil {
		return err
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	to, err := ParseRecipients([]byte(id.Recipient().String()), "r")
	if err != nil {
		return err
	}
	once, err := NewOneTime(to)
	if err != nil {
		return err
	}
	folder := Folder(testVault, testDB, "20261122T213000Z-7f3a")
	w, err := NewSealer(place, folder, to, once).Part(ctx, MainPart)
	if err != nil {
		return err
	}
	if err := writeNoise(w, n); err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	say := func(step string) {
		fmt.Println(step)
		_, _ = in.ReadString('\n')
	}
	say("within a part")
	part, err := w.Close(ctx)
	if err != nil {
		return err
	}
	contents, err := smallPart(ctx, NewSealer(place, folder, to, once), ContentsPart)
	if err != nil {
		return err
	}
	say("parts")
	return childManifest(ctx, place, folder, Manifest{Format: 1, ID: "20261122T213000Z-7f3a", Database: testDB, Sequence: 1, Scope: "whole",
		Bytes: int64(n) << 20, Tags: []string{}, Parts: []Part{part, contents}}, once.Keys(), say)
}

func childManifest(ctx context.Context, place *disk.Disk, folder string, m Manifest, keys *Keys, say func(string)) error {
	src, err := m.Encode()
	if err != nil {
		return err
	}
	if err := Publish(ctx, place, folder+SignatureName, []byte("a signature")); err != nil {
		return err
	}
	say("signature")
	if err := Publish(ctx, place, folder+ManifestName, src); err != nil {
		return err
	}
	o := &Opened{Manifest: &m, place: place, folder: folder}
	r, err := o.Part(ctx, MainPart, keys)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	say("peak " + strings.Fields(after)[0])
	return nil
}

func smallPart(ctx context.Context, s *Sealer, name string) (Part, error) {
	w, err := s.Part(ctx, name)
	if err != nil {
		return Part{}, err
	}
	if _, err := w.Write([]byte("{}")); err != nil {
		return Part{}, err
	}
	return w.Close(ctx)
}

// writeNoise writes n MiB, half of which compresses, in a frame for each 16.
func writeNoise(w *PartWriter, n int) error {
	var seed [32]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return err
	}
	src := mathrand.NewChaCha8(seed)
	p := make([]byte, 1<<20)
	for i := range n {
		_, _ = src.Read(p[:len(p)/2])
		if _, err := w.Write(p); err != nil {
			return err
		}
		if i%16 == 15 {
			if err := w.Cut(); err != nil {
				return err
			}
		}
	}
	return nil
}

// startChild runs the child up to the step and gives it and its last line.
func startChild(t *testing.T, dir, mib, step string) (*exec.Cmd, io.WriteCloser, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir, childEnv+"_MIB="+mib)
	cmd.Stderr = os.Stderr
	in := must(cmd.StdinPipe())(t)
	out := must(cmd.StdoutPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for sc := bufio.NewScanner(out); sc.Scan(); {
		if strings.HasPrefix(sc.Text(), step) {
			return cmd, in, sc.Text()
		}
		must(io.WriteString(in, "\n"))(t)
	}
	t.Fatalf("the child ended before %q: %v", step, cmd.Wait())
	return nil, nil, ""
}

// TestKilledBeforeManifest kills the process that seals, at each step before
// the manifest: the archive does not exist then.
func TestKilledBeforeManifest(t *testing.T) {
	for step, want := range map[string][]string{
		"within a part": nil,
		"parts":         {ContentsPart, MainPart},
		"signature":     {ContentsPart, MainPart, SignatureName},
	} {
		dir := filepath.Join(t.TempDir(), "place")
		cmd, _, _ := startChild(t, dir, "2", step)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		place := must(disk.Open(dir))(t)
		var names []string
		for _, i := range must(place.List(t.Context(), ""))(t) {
			names = append(names, filepath.Base(i.Name))
		}
		if strings.Join(names, " ") != strings.Join(want, " ") {
			t.Errorf("%s: there is %q, want %q", step, names, want)
		}
		if left := must(place.Leftovers(t.Context(), ""))(t); len(left) != 0 {
			t.Errorf("%s: left behind: %v", step, left)
		}
		trust := must(NewTrust([]string{newSigner(t).Public()}))(t)
		_, err := Open(t.Context(), place, trust, "", testVault, testDB, "20261122T213000Z-7f3a")
		wantFault(t, step, err, fault.Differs, ManifestName, "missing")
	}
}

// TestAbort: what was given up, or failed while it was written, is nowhere.
func TestAbort(t *testing.T) {
	b := newBench(t)
	sealer := NewSealer(b.place, Folder(testVault, testDB, "x"), b.to, nil)
	w := must(sealer.Part(t.Context(), MainPart))(t)
	must(w.Write(noise(t, 3<<20)))(t)
	w.Abort()
	w.Abort()
	ctx, cancel := context.WithCancel(t.Context())
	w = must(sealer.Part(ctx, GlobalsPart))(t)
	must(w.Write(noise(t, 1000)))(t)
	cancel()
	if _, err := w.Close(ctx); fault.CodeOf(err) != fault.Cancelled {
		t.Errorf("Close after the end of its context: %v", err)
	}
	w.Abort()
	if names := must(b.place.List(t.Context(), testVault+"/"))(t); len(names) != 1 {
		t.Errorf("there is %v", names)
	}
	w = must(sealer.Part(t.Context(), MainPart))(t)
	must(w.Close(t.Context()))(t)
	w.Abort()
	before := readFile(t, filepath.Join(b.path, testVault, testDB, "x", MainPart))
	w = must(sealer.Part(t.Context(), MainPart))(t)
	if _, err := w.Close(t.Context()); err == nil {
		t.Error("a part was written over another")
	}
	sameBytes(t, "the first part", readFile(t, filepath.Join(b.path, testVault, testDB, "x", MainPart)), before)
}

// TestMemory seals and reads back 300 MiB in a process whose resident memory,
// the Go runtime and this test binary included, stays under 64 MiB.
func TestMemory(t *testing.T) {
	cmd, in, line := startChild(t, filepath.Join(t.TempDir(), "place"), "300", "peak")
	must(io.WriteString(in, "\n"))(t)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	kib := must(strconv.Atoi(strings.TrimPrefix(line, "peak ")))(t)
	t.Logf("%d KiB resident at the most", kib)
	if kib > 64<<10 {
		t.Errorf("%d KiB resident at the most, want at most 64 MiB", kib)
	}
}
