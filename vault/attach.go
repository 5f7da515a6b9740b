package vault

import "pgvault/pg/dumpfile"

// postPass is one run of pg_restore over part of the post-data section.
type postPass struct {
	ids  []int // nil: everything
	jobs int
}

// postPasses splits the post-data section so that no two sessions attach
// partitions of an index at once. Where partitions are nested, each session
// may judge the index above both without seeing what the other has not yet
// committed: that index then stays invalid, without any error (seen with
// pg_restore 15 --jobs=6, one restore in 500). So indexes are built side by
// side, attached one after the other, and all else, such as the foreign keys
// that need a whole index, follows.
func postPasses(toc *dumpfile.TOC, ids []int, jobs int) []postPass {
	const build, attach, rest = 0, 1, 2
	var pass [3][]int
	wanted, class, last := map[int]bool{}, map[int]int{}, rest
	for _, id := range ids {
		wanted[id] = true
	}
	for i := range toc.Entries {
		e := &toc.Entries[i]
		if ids != nil && !wanted[e.ID] {
			continue
		}
		if e.Section != dumpfile.SectionNone { // a comment goes where the entry before it goes
			last = rest
		}
		if e.Section == dumpfile.SectionPostData {
			after := build
			for _, d := range e.Deps {
				after = max(after, class[d])
			}
			switch {
			case e.Desc == "INDEX ATTACH" && after == rest: // in no dump that we know of
				return []postPass{{ids, 1}}
			case e.Desc == "INDEX ATTACH":
				last = attach
			case (e.Desc == "INDEX" || e.Desc == "CONSTRAINT") && after == build:
				last = build
			}
			class[e.ID] = last
		}
		pass[last] = append(pass[last], e.ID)
	}
	if jobs <= 1 || len(pass[attach]) == 0 {
		return []postPass{{ids, jobs}}
	}
	return []postPass{{pass[build], jobs}, {pass[attach], 1}, {pass[rest], jobs}}
}
