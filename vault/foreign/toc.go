package foreign

import (
	"archive/tar"
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"pgvault/pg/dumpfile"
)

// Contents is what the table of contents of a dump says.
type Contents struct {
	TOC        *dumpfile.TOC
	Tables     int      // with data
	Roles      []string // that own something or are granted something, sorted
	Extensions []Extension
	Database   Database
}

// Database is what a dump says of its database itself. Empty is: not said.
type Database struct {
	Name, Owner, Encoding, Provider, Collate, CType, Locale string
}

// ReadContents reads the table of contents of a dump in custom, tar or
// directory format; of the last r gives toc.dat. It reads no further than
// that, but for what it buffers.
func ReadContents(r io.Reader, k Kind) (*Contents, error) {
	if k == Tar {
		t := tar.NewReader(r)
		h, err := t.Next()
		if err != nil || h.Name != "toc.dat" {
			return nil, fmt.Errorf("a tar file without toc.dat: %w", orCut(err))
		}
		r = bufio.NewReader(t)
	}
	toc, err := dumpfile.ReadFilesTOC(r)
	if err != nil {
		return nil, err
	}
	return contentsOf(toc), nil
}

func orCut(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func contentsOf(toc *dumpfile.TOC) *Contents {
	c := &Contents{TOC: toc, Database: Database{Name: toc.Header.Database}}
	var sql []io.Reader
	var owners []string
	for i := range toc.Entries {
		e := &toc.Entries[i]
		if e.HasData && e.Desc != "BLOBS" {
			c.Tables++
		}
		if e.Owner != "" && !slices.Contains(owners, e.Owner) && len(owners) < maxRoles && len(e.Owner) < 64 {
			owners = append(owners, e.Owner)
		}
		switch e.Desc {
		case "ACL", "DEFAULT ACL", "POLICY", "USER MAPPING", "EXTENSION":
			sql = append(sql, strings.NewReader(e.Defn+"\n;\n"))
		case "ENCODING":
			sql = append(sql, strings.NewReader(e.Defn))
		case "DATABASE":
			c.Database.read(tokens(e.Defn))
			c.Database.Owner = e.Owner
		}
	}
	s, _ := ReadScript(io.MultiReader(sql...), nil, Filter{}) // readers of strings give no error
	if c.Database.Encoding == "" {
		c.Database.Encoding = s.Encoding
	}
	c.Extensions = s.Extensions
	c.Roles = append(owners, s.Roles...)
	slices.Sort(c.Roles)
	c.Roles = slices.Compact(c.Roles)
	return c
}

// read takes what CREATE DATABASE says.
func (d *Database) read(t []token) {
	for i := 0; i+2 < len(t); i++ {
		if t[i].kind != 'w' || t[i+1].kind != '=' {
			continue
		}
		value := t[i+2].text
		switch t[i].text {
		case "ENCODING":
			d.Encoding = value
		case "LOCALE_PROVIDER":
			d.Provider = map[string]string{"LIBC": "c", "ICU": "i", "BUILTIN": "b"}[strings.ToUpper(value)]
		case "LOCALE":
			d.Collate, d.CType = value, value
		case "LC_COLLATE":
			d.Collate = value
		case "LC_CTYPE":
			d.CType = value
		case "ICU_LOCALE", "BUILTIN_LOCALE":
			d.Locale = value
		}
	}
}
