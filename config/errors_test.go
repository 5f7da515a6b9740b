package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgvault/fault"
)

// TestErrors gives a file with one mistake, and the line and words that the
// error must have. <- marks the line.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"[keys]\nrecipents_file = \"x\" # <-", `unknown key "recipents_file"; did you mean "recipients_file"?`},
		{"[keys]\nRecipients_File = \"x\" # <-", `unknown key "Recipients_File"; did you mean "recipients_file"?`},
		{"[vault]\n[key] # <-\nself_check = true", `unknown key "key"; did you mean "keys"?`},
		{"[scratch] # <-\nwhere = \"private\"", `unknown key "scratch"; known here: database, defaults, drill, keys`},
		{"[vault]\nname=\"x\"\n[defaults]\nkeep = { last = 1, dayly = 7 } # <-", `unknown key "dayly"; did you mean "daily"?`},
		{"[defaults.keep]\nlast = 1\nweakly = 2 # <-", `did you mean "weekly"?`},
		{"defaults.keep.last = 1\ndefaults.keep.nope = 1 # <-", `unknown key "nope"`},
		{"[[place]]\nname = \"a\"\nurl = \"file:/a\"\n[[place]]\nname = \"b\"\nulr = \"file:/b\" # <-\nurl = \"file:/b\"", `unknown key "ulr"; did you mean "url"?`},
		{"place = [\n {name=\"a\", url=\"file:/a\"}, # x ] }\n {name=\"b\", urk=\"file:/b\", url=\"file:/b\"}, # <-\n]", `unknown key "urk"`},
		{"[[database]]\nname = \"a\"\n[database.keep]\nlast = 1\n[[database]]\nname = \"b\"\n[database.keep]\nlats = 1 # <-\nlast = 2", `unknown key "lats"`},
		{"[vault]\nlabel = '''\nx'''\nnaem = 'y' # <-", `did you mean "name"?`},
		{"[vault]\n\"\\u006eam\" = 'y' # <-", `unknown key "nam"; did you mean "name"?`},
		{"[vault]\n'na me' = 'y' # <-", `unknown key "na me"; did you mean "name"?`},

		{"[vault]\nname = 5 # <-", "name must be a text in quotes, not a whole number"},
		{"[keys]\nself_check = \"true\" # <-", "self_check must be true or false, not a text"},
		{"[defaults]\njobs = 1.5 # <-", "jobs must be a whole number, not a number with a fraction"},
		{"[defaults]\nkeep = { last = nan } # <-", "last must be a whole number"},
		{"[defaults]\nkeep = 7 # <-", "keep must be a table"},
		{"[defaults]\nmax_age = 86400 # <-", "max_age must be a duration in quotes"},
		{"[database] # <-\nname = \"x\"", "database must be a list of tables, each under [[database]]"},
		{"[[vault]] # <-\nname = \"x\"", "vault must be a table, not a list"},
		{"[[database]]\nname = \"*\"\nexclude = \"x\" # <-", "exclude must be a list of texts"},
		{"[[database]]\nname = \"*\"\nexclude = [\n\"x\",\n5 # <-\n]", "exclude number 2 must be a text in quotes"},
		{"[vault]\nname = 1979-05-27 # <-", "not a date"},

		{"[defaults]\nkeep = { daily = -1 } # <-", "daily = -1: it must be from 0 to 1000000"},
		{"[defaults]\n[defaults.keep]\ndaily = 1\nyearly = 1000000000000000000 # <-", "yearly = 1000000000000000000"},
		{"[defaults]\nkeep = {} # <-", "keep: the policy has no rule"},
		{"[[database]]\nname = \"x\"\nkeep = { last = 0 } # <-", "keep: the policy has no rule"},
		{"[defaults]\nkeep = { within = \"-3d\" } # <-", `within = "-3d": not a duration`},
		{"[defaults]\nmax_age = \"soon\" # <-", `max_age = "soon": not a duration`},
		{"[defaults]\nmax_age = \"\" # <-", `max_age = "": it must be above zero`},
		{"[defaults]\nmax_age = \"1000000000000000000d\" # <-", "more than a hundred years"},
		{"[defaults]\njobs = 0 # <-", "jobs = 0: it must be from 1"},
		{"[defaults]\nverify = \"restore\" # <-", `verify = "restore": it must be one of stored, intact, readable, restored`},
		{"[ui]\ntheme = \"solarized\" # <-", `theme = "solarized": it must be one of auto, light, dark, none`},
		{"[ui]\ntimes = \"UTC\" # <-", `times = "UTC": it must be one of local, utc`},

		{"[vault]\nname = \"\" # <-", `vault name ""`},
		{"[vault]\nname = \"../x\" # <-", `vault name "../x"`},
		{"[vault]\nlabel = \"a\\u001b[2J\" # <-", "printable"},
		{"[[database]] # <-\nmax_age = \"1d\"", "a database without a name"},
		{"[[database]]\nname = \"\" # <-", "a database without a name"},
		{"[[database]]\nname = \"a\"\n[[database]]\nname = \"a\" # <-", `the database "a" comes twice`},
		{"[[database]]\nname = \"a\"\nexclude = [\"b\"] # <-", `exclude belongs to the database "*" only`},
		{"[[database]]\nname = \"*\"\nexclude = [\"a\",\n\"[\"] # <-", "exclude \"[\" is not a pattern"},
		{"[[database]]\nname = \"a\"\nexclude_table_data = [\"\"] # <-", "empty pattern"},
		{"[[database]]\nname = \"" + strings.Repeat("n", 64) + "\" # <-", "63 bytes"},
		{"[[database]]\nname = \"a\\u0000b\" # <-", "NUL"},
		{"[[place]] # <-\nname = \"a\"", "url: it is missing"},
		{"[[place]] # <-\nurl = \"file:/a\"", "a place without a name"},
		{"[[place]]\nname = \"a b\" # <-\nurl = \"file:/a\"", `place name "a b"`},
		{"[[place]]\nname = \"a\"\nurl = \"s4://bucket/x\" # <-", `url: there is no kind of place "s4"; did you mean "s3"?`},
		{"[[place]]\nname = \"a\"\nurl = \"s3://bucket/x?regoin=eu\" # <-", `url: unknown option "regoin"; did you mean "region"?`},
		{"[[place]]\nname = \"a\"\nurl = \"s3://u:hunter2@bucket/x\" # <-", `url: an address holds no password`},
		{"[[place]]\nname = \"a\"\nurl = \"/backup\" # <-", "does not begin with the kind of place; write file:/path"},
		{"[[place]]\nname = \"a\"\nurl = \"s3://abc/x\"\n[[place]]\nname = \"b\"\nurl = \"s3://abc/x/?region=eu-west-1\" # <-", "two places have the address"},
		{"[[place]]\nname = \"a\"\nurl = \"file:backup\" # <-", "not absolute"},
		{"[[place]]\nname = \"a\"\nurl = \"file:/a\"\n[[place]]\nname = \"a\" # <-\nurl = \"file:/b\"", `the place "a" comes twice`},
		{"[[place]]\nname = \"a\"\nurl = \"file:/a\"\n[[place]]\nname = \"b\"\nurl = \"file:///a/\" # <-", "two places have the address"},

		{"[[place]]\nname = \"a\"\nurl = \"s3://abc\"\ncredentials = \"hunter2\" # <-", "they are profile:NAME or file:PATH or systemd:NAME or instance; never a secret itself"},
		{"[[place]]\nname = \"a\"\nurl = \"s3://abc\"\ncredentials = \"instance:x\" # <-", "they are profile:NAME"},
		{"[[place]]\nname = \"a\"\nurl = \"gs://abc\"\ncredentials = \"profile:x\" # <-", "credentials: for gs: they are file:PATH"},
		{"[[place]]\nname = \"a\"\nurl = \"file:/a\"\ncredentials = \"file:/k\" # <-", "file: takes none"},
		{"[[place]]\nname = \"a\"\nurl = \"s3://abc\"\ncredentials = \"file:\" # <-", "needs the path of a file"},
		{"[[place]]\nname = \"a\"\nurl = \"s3://abc\"\ncredentials = \"systemd:../x\" # <-", "systemd: needs a name"},
		{"[[place]]\nname = \"a\"\nurl = \"sftp://h/x\"\nobject_lock = \"30d\" # <-", "sftp: cannot lock objects"},
		{"[[place]]\nname = \"a\"\nurl = \"s3://abc\"\nmin_free = \"1GiB\" # <-", "s3: does not tell how much is free"},
		{"[[place]]\nname = \"a\"\nurl = \"file:/a\"\nmin_free = 50 # <-", "min_free must be a size in quotes"},
		{"[[place]]\nname = \"a\"\nurl = \"file:/a\"\nmin_free = \"50\" # <-", `min_free = "50": not a size such as`},
		{"[[place]]\nname = \"a\"\nurl = \"file:/a\"\nlimit = \"40MiB\" # <-", "not a rate such as"},
		{"[[place]]\nname = \"a\"\nurl = \"file:/a\"\nlimit = \"40B/s\" # <-", "at least 16KiB/s"},
		{"[[place]]\nname = \"a\"\nurl = \"file:/a\"\nread_back = \"daily\" # <-", `read_back = "daily": it must be one of each, weekly, never`},
		{"[defaults]\ncopies = [\"disc\"] # <-\n[[place]]\nname = \"disk\"\nurl = \"file:/a\"", `copies: "disc" is the name of no place; did you mean "disk"?`},
		{"[defaults]\ncopies = [\"disk\", \"disk\"] # <-\n[[place]]\nname = \"disk\"\nurl = \"file:/a\"", "twice"},
		{"[defaults]\ncopies = [] # <-", "copies is empty"},
		{"[defaults]\ncopies = [\"disk\"] # <-", "there is no [[place]]"},
		{"[[place]]\nname = \"disk\"\nurl = \"file:/a\"\n[[database]]\nname = \"x\"\ncopies = [\"dsik\"] # <-", `did you mean "disk"?`},

		{"[vault]\nlabel = \"${NOT_SET}\" # <-", "label: the environment variable NOT_SET is not set"},
		{"[vault]\nlabel = \"${A\" # <-", "is not of the form ${NAME}"},
		{"[vault]\nlabel = \"${1A}\" # <-", "is not of the form ${NAME}"},
		{"[vault]\nname = \"x\nlabel = 5", "not TOML"},
		{"[vault]\nname = \"x\"\nname = \"y\" # <-", "not TOML"},
		{"[defaults]\njobs = 9999999999999999999 # <-", "not TOML"},
	} {
		_, err := Parse([]byte(c.src), "config.toml", env())
		checkFault(t, c.src, err)
		if err == nil {
			continue
		}
		line := 0
		for i, l := range strings.Split(c.src, "\n") {
			if strings.Contains(l, "# <-") {
				line = i + 1
			}
		}
		what := fault.As(err).What
		if line > 0 && !strings.HasPrefix(what, fmt.Sprintf("config.toml:%d: ", line)) || !strings.Contains(what, c.want) {
			t.Errorf("%s\ngives:  %s\nwanted: line %d, %s", c.src, what, line, c.want)
		}
	}
}

// checkFault checks the code and the four lines.
func checkFault(t *testing.T, src string, err error) {
	t.Helper()
	f, ok := err.(*fault.Error)
	if !ok {
		t.Errorf("%s\nis accepted, or not a *fault.Error: %v", src, err)
		return
	}
	if f.Code != fault.Usage || f.What == "" || f.Why == "" || f.Left == "" || f.Do == "" {
		t.Errorf("%s\ngives %+v", src, f)
	}
}

func TestSeveralMistakes(t *testing.T) {
	_, err := Parse([]byte("[ui]\nmouse = 1\n[vault]\nnmae = \"x\"\nname = 1\nlabel = 2\na = 1\n"), "c.toml", nil)
	f := fault.As(err)
	if !strings.HasPrefix(f.What, "c.toml:2: mouse must be") {
		t.Errorf("what: %s", f.What)
	}
	if !strings.Contains(f.Why, "c.toml:4: unknown key") || !strings.Contains(f.Why, "c.toml:5: name must be") || !strings.HasSuffix(f.Why, "and 1 more") {
		t.Errorf("why: %s", f.Why)
	}
	if !strings.Contains(f.Do, "line 2 of c.toml") {
		t.Errorf("do: %s", f.Do)
	}
	all := Problems(err)
	if len(all) != 5 || all[0].Line != 2 || all[4].Line != 7 || !strings.Contains(all[1].Text, "unknown key") {
		t.Errorf("problems: %+v", all)
	}
	if Problems(nil) != nil {
		t.Error("problems of no error")
	}
}

// TestNoSecretInErrors puts a canary into every text of the file, each with
// a variable, one at a time and all at once: whatever is wrong with it, no
// error shows what the variable held.
func TestNoSecretInErrors(t *testing.T) {
	paths := textOptions(reflect.TypeFor[Config](), "")
	if len(paths) < 14 {
		t.Fatalf("only %d text options found: %q", len(paths), paths)
	}
	refused := 0
	for _, canary := range []string{
		"c4n4ry", "c4n4ry\x00", "c4n4ry\x1b[", "s3://c4n4ry:c4n4ry@h/x", "file://c4n4ry/x", "file:/%c4n4ry", "file:c4n4ry", "c4n4ry://[",
		"c4n4ry}${", "[c4n4ry", strings.Repeat("c4n4ry", 100), "-1c4n4ry", "c4n4ryd", "c4n4ry/../x",
	} {
		for _, p := range paths {
			src := strings.Replace(p, "VALUE", `"${SECRET}"`, 1)
			c, err := Parse([]byte(src), "c.toml", env("SECRET", canary))
			if err == nil {
				if c == nil {
					t.Fatal("no configuration and no error")
				}
				continue
			}
			refused++
			checkFault(t, src, err)
			if text := fmt.Sprintf("%+v %#v %s", *fault.As(err), fault.As(err), err); strings.Contains(text, "c4n4ry") {
				t.Errorf("%s\nwith %q tells: %s", src, canary, text)
			}
		}
	}
	if refused < 60 {
		t.Errorf("only %d refusals seen", refused)
	}
}

// textOptions gives for every option that is written in quotes a file that
// sets it to VALUE.
func textOptions(t reflect.Type, prefix string) (files []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("toml")
		if key == "" || key == "-" {
			continue
		}
		ft := f.Type
		if ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		switch {
		case ft == durationType || ft == sizeType || ft == rateType || ft.Kind() == reflect.String:
			files = append(files, prefix+key+" = VALUE\n")
		case ft.Kind() == reflect.Struct:
			files = append(files, textOptions(ft, prefix+key+".")...)
		case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.String:
			files = append(files, prefix+key+" = [VALUE]\n")
		case ft.Kind() == reflect.Slice:
			head := "[[" + key + "]]\n"
			files = append(files, head+"name = VALUE\nurl = \"file:/x\"\n")
			for _, one := range textOptions(ft.Elem(), head) {
				_, option, _ := strings.Cut(one, head)
				rest := ""
				for k, v := range map[string]string{"name": "*", "url": "file:/x"} {
					if _, has := options(ft.Elem())[k]; has && !strings.HasPrefix(option, k+" ") {
						rest += k + " = \"" + v + "\"\n"
					}
				}
				files = append(files, head+rest+strings.TrimPrefix(option, head))
			}
		}
	}
	return files
}
