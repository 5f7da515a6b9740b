package sftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault/store/remote"
)

// folderMode and fileMode are what is made.
const (
	folderMode = 0o700
	fileMode   = 0o600
)

// findRoot finds the place's folder and refuses one that others could change.
func (s *SFTP) findRoot(ctx context.Context, c *session) error {
	root := s.addr.Path
	if !path.IsAbs(root) {
		home, err := ask(ctx, c, c.time.answer, func() (string, error) { return c.ftp.RealPath(".") }, nil)
		if err != nil {
			return err
		}
		root = path.Join(home, root)
	}
	c.root = strings.TrimSuffix(root, "/")
	fi, err := ask(ctx, c, c.time.answer, func() (fs.FileInfo, error) { return c.ftp.Stat(c.at("")) }, nil)
	switch {
	case errors.Is(err, errLost):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return remote.Permanent(s.noRoot("it does not exist there", err))
	case err != nil:
		return remote.Permanent(s.fault("use", "", err))
	case !fi.IsDir():
		return remote.Permanent(s.noRoot("it is no folder", nil))
	case fi.Mode().Perm()&0o022 != 0:
		return remote.Permanent(&fault.Error{Op: "place", Code: fault.Refused,
			What: fmt.Sprintf("the folder of %s is not safe for a vault", s),
			Why:  fmt.Sprintf("other users of that server can write to it (mode %04o)", fi.Mode().Perm()),
			Left: "Nothing was read or written there.", Do: "On the server, take that right away: chmod go-w " + safetext.Word(c.at(""))})
	}
	return nil
}

func (s *SFTP) noRoot(why string, err error) error {
	return &fault.Error{Op: "place", Code: fault.PlaceUnreachable, Err: err,
		What: fmt.Sprintf("the folder of %s cannot be used", s), Why: why, Left: "Nothing was changed there.",
		Do: "On the server: mkdir -m 0700 " + safetext.Word(s.addr.Path) + "; or mend the place's url."}
}

// Init makes the place's folder (mode 0700) where it is not there; the one
// above it has to be. An existing folder is left as it is.
func (s *SFTP) Init(ctx context.Context) error {
	err := s.with(ctx, func(context.Context, *session, bool) error { return nil })
	var f *fault.Error
	if err == nil || !errors.As(err, &f) || !errors.Is(f.Err, fs.ErrNotExist) {
		return s.fault("reach", "", err)
	}
	l, err := s.target.connect(ctx, s.only, 0)
	if err != nil {
		return s.fault("reach", "", err)
	}
	c, err := start(ctx, l, s.time)
	if err != nil {
		return s.fault("reach", "", err)
	}
	defer c.kill(nil)
	_ = s.findRoot(ctx, c) // it fails, and has set c.root
	if err := c.do(ctx, func() error { return c.ftp.Mkdir(c.at("")) }); err != nil {
		return s.fault("make the folder of", "", err)
	}
	err = c.do(ctx, func() error { return c.ftp.Chmod(c.at(""), folderMode) })
	return s.fault("make the folder of", "", errors.Join(err, c.syncFolder(ctx, path.Dir(c.at("")))))
}

// at gives the path of an object or folder on the server.
func (c *session) at(name string) string {
	if name == "" && c.root != "" {
		return c.root
	}
	return c.root + "/" + name
}

// split parts a name into its folder ("" for the root) and the last element.
func split(name string) (dir, base string) {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

// above gives the folders of a name, the outermost first.
func above(name string) (dirs []string) {
	for i := range len(name) {
		if name[i] == '/' {
			dirs = append(dirs, name[:i])
		}
	}
	return dirs
}

// errNoFolder says that something above a name is no folder.
var errNoFolder = fmt.Errorf("no folder: %w", fs.ErrNotExist)

// way looks at the folders above a name, all at once, and refuses a symbolic
// link. Those that were seen on this connection are taken to be there still:
// who uses them finds out.
func (s *SFTP) way(ctx context.Context, c *session, name string) error {
	type seen struct {
		dir string
		fi  fs.FileInfo
		err error
	}
	var asked int
	answers := make(chan seen, strings.Count(name, "/"))
	for _, dir := range above(name) {
		if _, ok := c.folders.Load(dir); ok {
			continue
		}
		asked++
		go func() {
			fi, err := c.lstat(ctx, c.at(dir))
			answers <- seen{dir, fi, err}
		}()
	}
	var bad error
	for range asked {
		a := <-answers
		switch {
		case a.err != nil && (bad == nil || errors.Is(bad, fs.ErrNotExist)):
			bad = a.err
		case a.err != nil:
		case a.fi.Mode()&fs.ModeSymlink != 0:
			bad = s.symlink(a.dir)
		case !a.fi.IsDir():
			if bad == nil {
				bad = errNoFolder
			}
		default:
			c.folders.Store(a.dir, true)
		}
	}
	return bad
}

// makeWay makes the folders above a name, 0700 and durable.
func (s *SFTP) makeWay(ctx context.Context, c *session, name string) error {
	for _, dir := range above(name) {
		if _, ok := c.folders.Load(dir); ok {
			continue
		}
		fi, err := c.lstat(ctx, c.at(dir))
		if errors.Is(err, fs.ErrNotExist) {
			made := c.do(ctx, func() error { return c.ftp.Mkdir(c.at(dir)) })
			if errors.Is(made, errLost) {
				return made
			}
			if made == nil {
				if err := c.do(ctx, func() error { return c.ftp.Chmod(c.at(dir), folderMode) }); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
			// Somebody else may have made it in the same moment.
			if fi, err = c.lstat(ctx, c.at(dir)); err != nil && made != nil {
				return made
			}
			if err == nil {
				up, _ := split(dir)
				if err := c.syncFolder(ctx, c.at(up)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
		}
		switch {
		case err != nil:
			return err
		case fi.Mode()&fs.ModeSymlink != 0:
			return s.symlink(dir)
		case !fi.IsDir():
			return fmt.Errorf("%s is an object, not a folder", dir)
		}
		c.folders.Store(dir, true)
	}
	return nil
}

// forget says that a folder may be gone, with all above it.
func (c *session) forget(name string) {
	for _, dir := range above(name) {
		c.folders.Delete(dir)
	}
}
