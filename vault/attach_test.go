package vault

import (
	"reflect"
	"testing"

	"pgvault/pg/dumpfile"
)

func TestPostPasses(t *testing.T) {
	post := func(id int, desc string, deps ...int) dumpfile.Entry {
		return dumpfile.Entry{ID: id, Desc: desc, Section: dumpfile.SectionPostData, Deps: deps}
	}
	none := func(id int, desc string, deps ...int) dumpfile.Entry {
		return dumpfile.Entry{ID: id, Desc: desc, Section: dumpfile.SectionNone, Deps: deps}
	}
	table := []dumpfile.Entry{{ID: 1, Desc: "TABLE", Section: dumpfile.SectionPreData}, none(2, "COMMENT", 1), {ID: 3, Desc: "TABLE DATA", Section: dumpfile.SectionData}}
	with := func(more ...dumpfile.Entry) *dumpfile.TOC {
		return &dumpfile.TOC{Entries: append(append([]dumpfile.Entry{}, table...), more...)}
	}
	nested := []dumpfile.Entry{post(10, "INDEX", 1), none(11, "COMMENT", 10), post(12, "CONSTRAINT", 1), post(13, "INDEX", 1), post(14, "INDEX ATTACH", 10, 13),
		post(15, "INDEX ATTACH", 14, 12), post(16, "FK CONSTRAINT", 15), post(17, "INDEX", 16), post(18, "EVENT TRIGGER"), none(19, "COMMENT", 18)}
	for name, c := range map[string]struct {
		toc  *dumpfile.TOC
		ids  []int
		jobs int
		want []postPass
	}{
		"one session":     {with(nested...), nil, 1, []postPass{{nil, 1}}},
		"no partitions":   {with(post(10, "INDEX", 1), post(11, "TRIGGER")), nil, 4, []postPass{{nil, 4}}},
		"partitions":      {with(nested...), nil, 4, []postPass{{[]int{10, 11, 12, 13}, 4}, {[]int{14, 15}, 1}, {[]int{1, 2, 3, 16, 17, 18, 19}, 4}}},
		"some tables":     {with(nested...), []int{1, 3, 13, 14, 16}, 4, []postPass{{[]int{13}, 4}, {[]int{14}, 1}, {[]int{1, 3, 16}, 4}}},
		"none of them":    {with(nested...), []int{}, 4, []postPass{{[]int{}, 4}}},
		"attach to later": {with(append(nested, post(20, "INDEX ATTACH", 17))...), nil, 4, []postPass{{nil, 1}}},
	} {
		if got := postPasses(c.toc, c.ids, c.jobs); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
