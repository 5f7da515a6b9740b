package setup

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is where a path lies.
type mount struct {
	point  string
	kind   string // file system type
	source string
	device uint64
	away   string // why it leaves this host: "a network share (nfs4)", "a removable disk"; empty: it does not
}

// networkKinds are file systems whose bytes lie on another machine.
var networkKinds = []string{"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "afs", "ncpfs",
	"fuse.sshfs", "fuse.rclone", "fuse.glusterfs", "fuse.cephfs", "fuse.s3fs", "fuse.davfs", "davfs", "vboxsf", "fuse.vmhgfs-fuse", "virtiofs", "prl_fs"}

// mountOf finds the mount of a path; of one that does not exist yet, that of
// its nearest folder that does.
func mountOf(path string) (mount, error) {
	path, err := nearest(path)
	if err != nil {
		return mount{}, err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return mount{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return mount{}, err
	}
	m := findMount(string(table), path)
	m.device = st.Dev
	if m.away == "" && removable(st.Dev) {
		m.away = "a removable disk"
	}
	return m, nil
}

// findMount picks the line of a mountinfo table that path is on: the longest
// mount point above it, and of several on one point the last, which lies on
// top.
func findMount(table, path string) mount {
	var m mount
	for line := range strings.Lines(table) {
		left, right, found := strings.Cut(line, " - ")
		f, g := strings.Fields(left), strings.Fields(right)
		if !found || len(f) < 5 || len(g) < 2 {
			continue
		}
		point := unescapeMount(f[4])
		if within(path, point) && len(point) >= len(m.point) {
			m = mount{point: point, kind: g[0], source: unescapeMount(g[1])}
		}
	}
	if slices.Contains(networkKinds, m.kind) {
		m.away = "a network share (" + m.kind + ")"
	}
	return m
}

// unescapeMount reads \040 and its like, as the kernel writes spaces, tabs,
// line ends and backslashes.
func unescapeMount(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// within tells whether path is folder or below it.
func within(path, folder string) bool {
	return path == folder || folder == "/" || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

// nearest is the path itself, or the first folder above it that exists.
func nearest(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(path); err == nil || path == "/" {
			return path, nil
		}
		path = filepath.Dir(path)
	}
}

// removable tells whether a block device, or the disk that it is a partition
// of, says that it can be taken out, or hangs on USB.
func removable(device uint64) bool {
	dir, err := filepath.EvalSymlinks("/sys/dev/block/" + strconv.Itoa(int(unix.Major(device))) + ":" + strconv.Itoa(int(unix.Minor(device))))
	if err != nil {
		return false
	}
	if strings.Contains(dir, "/usb") {
		return true
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if src, err := os.ReadFile(filepath.Join(d, "removable")); err == nil && strings.TrimSpace(string(src)) == "1" {
			return true
		}
	}
	return false
}
