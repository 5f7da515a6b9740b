package job

import (
	"testing"

	"pgvault/fault"
)

// TestReadAndAlone: several read a thing at once, nobody has it alone
// meanwhile, and another thing of the same file is free.
func TestReadAndAlone(t *testing.T) {
	dir := t.TempDir()
	one, err := Read(dir, "shop", "archive 1")
	if err != nil {
		t.Fatal(err)
	}
	two, err := Read(dir, "shop", "archive 1")
	if err != nil {
		t.Fatalf("a second reader: %v", err)
	}
	other, err := Alone(dir, "shop", "archive 2")
	if err != nil {
		t.Fatalf("another archive: %v", err)
	}
	other()
	one()
	if _, err := Alone(dir, "shop", "archive 1"); fault.CodeOf(err) != fault.Running {
		t.Errorf("while one still reads: %v", err)
	}
	two()
	alone, err := Alone(dir, "shop", "archive 1")
	if err != nil {
		t.Fatalf("when none reads: %v", err)
	}
	if _, err := Read(dir, "shop", "archive 1"); fault.CodeOf(err) != fault.Running {
		t.Errorf("reading what another has alone: %v", err)
	}
	alone()
	again, err := Read(dir, "shop", "archive 1")
	if err != nil {
		t.Errorf("afterwards: %v", err)
	}
	again()
	if unlock, err := Lock(dir, "shop", "a backup of shop", ""); err != nil {
		t.Errorf("they meet the lock of a backup: %v", err)
	} else {
		unlock()
	}
}
