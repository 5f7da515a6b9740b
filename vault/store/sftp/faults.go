package sftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/pkg/sftp"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault/store/remote"
)

var (
	errFull   = errors.New("no space is left there")
	errUnlike = errors.New("the bytes that were read back are not those that were written")
)

// fault gives an error its four lines. did completes "cannot …", name is the
// object or "".
func (s *SFTP) fault(did, name string, err error) error {
	if err == nil {
		return nil
	}
	kind := remote.Unreachable
	var status *sftp.StatusError
	switch {
	case errors.Is(err, errFull):
		kind = remote.Full
	case errors.Is(err, errUnlike):
		kind = remote.Unlike
	case errors.Is(err, fs.ErrPermission):
		kind = remote.Denied
	case errors.As(err, &status):
		return s.refused(did, name, status, err)
	}
	f := remote.Fault(s.String(), did, name, kind, err)
	var four *fault.Error
	if kind == remote.Denied && errors.As(f, &four) {
		four.Do = "On the server, see who may write there: ls -ld " + safetext.Word(s.addr.Path)
	}
	return f
}

// refused is for an answer that says no more than that it did not work.
func (s *SFTP) refused(did, name string, status *sftp.StatusError, err error) error {
	var already *fault.Error
	if errors.As(err, &already) {
		return err
	}
	if name != "" {
		name += " in "
	}
	why := "the server says: " + remote.Words(err.Error())
	if status.FxCode() == sftp.ErrSSHFxFailure {
		why += " (SFTP does not tell more)"
	}
	return &fault.Error{Op: "place", What: fmt.Sprintf("cannot %s %s%s", did, name, s), Why: why, Code: fault.PlaceUnreachable, Err: err,
		Left: "What lay in the place before is unchanged; nothing new is visible.", Do: "See the server's log, its quota and its disk, then run again."}
}

// full makes a failure to write one that says so when the server's disk is
// full: SFTP itself has no word for it.
func (s *SFTP) full(ctx context.Context, c *session, written int64, err error) error {
	var status *sftp.StatusError
	if !errors.As(err, &status) || status.FxCode() != sftp.ErrSSHFxFailure {
		return err
	}
	free, _, inodes, serr := c.space(ctx)
	switch {
	case serr != nil || free < 0:
		return fmt.Errorf("after %d bytes (its disk may be full or a quota used up): %w", written, err)
	case free < int64(c.packet):
		return fmt.Errorf("%w: %d bytes were written, %d bytes are free: %w", errFull, written, free, err)
	case inodes == 0:
		return fmt.Errorf("%w: no inodes are left (%d bytes are free): %w", errFull, free, err)
	}
	return fmt.Errorf("after %d bytes (%d bytes are free on that disk, but a quota may be used up): %w", written, free, err)
}

// symlink refuses a symbolic link below the place's folder.
func (s *SFTP) symlink(name string) error {
	return &fault.Error{Op: "place", Code: fault.Refused,
		What: fmt.Sprintf("refused to follow %s in %s", name, s), Why: "it is a symbolic link; pgvault never makes one in a place",
		Left: "What it points to was neither read nor changed.",
		Do:   "On the server, find out who made it (ls -l " + safetext.Word(path.Join(s.addr.Path, name)) + "), then remove it."}
}

// notFile refuses what is neither a file nor a folder nor a symbolic link.
func (s *SFTP) notFile(name string, mode fs.FileMode) error {
	return &fault.Error{Op: "place", Code: fault.Refused,
		What: fmt.Sprintf("refused to use %s in %s", name, s), Why: fmt.Sprintf("it is no ordinary file (%s)", mode.Type()),
		Left: "It was neither read nor changed.",
		Do:   "On the server, find out who made it (ls -l " + safetext.Word(path.Join(s.addr.Path, name)) + "), then remove it."}
}
