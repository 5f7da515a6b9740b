package pg

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// memfile gives an open file that exists in memory only, filled with text and
// positioned at its start. It is closed on exec; a child gets it by
// exec.Cmd.ExtraFiles and opens it as childPath.
func memfile(name string, text []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("pgvault-"+name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.WriteAt(text, 0); err != nil {
		f.Close()
		return nil, fmt.Errorf("a file in memory: %w", err)
	}
	return f, nil
}

// fdPath is the name under which this process can open f once more.
func fdPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// childPath is the name under which a child opens the i-th of its ExtraFiles.
func childPath(i int) string { return fmt.Sprintf("/proc/self/fd/%d", 3+i) }
