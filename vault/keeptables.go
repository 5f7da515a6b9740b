package vault

import (
	"cmp"
	"context"
	"slices"

	"pgvault/pg"
	"pgvault/vault/archive"
)

// Tables opens an archive's contents and gives its tables, the largest
// first; blocks of large objects are among them. id is an archive's id or
// latest:DB. Of the parts only the contents are read.
func (v *Vault) Tables(ctx context.Context, id string, ids Identities) ([]TableInfo, error) {
	f, err := v.locate(ctx, id, "")
	if err != nil {
		return nil, err
	}
	keys, err := v.keys(ids)
	if err != nil {
		return nil, err
	}
	var c *archive.Contents
	err = f.read(ctx, func(l *located) (err error) {
		c, err = l.o.Contents(ctx, keys)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]TableInfo, 0, len(c.Tables)+len(c.Large))
	for _, t := range c.Tables {
		out = append(out, TableInfo{Name: pg.QuoteName(t.Schema, t.Name), Rows: t.Rows, Bytes: t.Bytes, SHA256: t.SHA256})
	}
	for _, l := range c.Large {
		out = append(out, TableInfo{Name: "large objects", Rows: l.Count, Bytes: l.Bytes, SHA256: l.SHA256})
	}
	slices.SortStableFunc(out, func(a, b TableInfo) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}
