package setup

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"

	"pgvault/config"
	"pgvault/guide"
	"pgvault/vault"
	"pgvault/vault/store/address"
)

func (r *recovery) where() guide.Step {
	return guide.Step{
		Key: "where", Name: "Where", Question: "Where are the backups?", Skip: given(r.w.Given.From != ""),
		Text: "Read access is enough; nothing is written there.",
		Why:  "Archives, their index and who signed them lie together in the place. Neither the old configuration nor the old server is needed.",
		Fields: []guide.Field{
			{Key: keyPlace, Label: "address", Kind: guide.Path, Hint: "s3://bucket/prefix, sftp://user@host/path, file:/mnt/disk"},
			{Key: keyCredential, Label: "credentials", Kind: guide.Text, Optional: true, When: far, Hint: "profile:NAME, file:PATH, systemd:NAME, instance; empty: where its own clients look"},
		},
		Check: checkAddress,
		Body: func(*guide.Values) []guide.Section {
			return []guide.Section{
				{Lines: []guide.Line{{Text: "Two things are needed, and no more:"}}},
				{Label: "1", Lines: []guide.Line{{Text: "an address: part 1 of the recovery sheet (" + address.Forms + ")"}}},
				{Label: "2", Lines: []guide.Line{{Text: "one secret key: part 2 of the sheet names those that serve"}}},
			}
		},
		Doing: "opening the place",
		Do: func(ctx context.Context, v *guide.Values, t guide.Talk) error {
			if err := Allowed(r.w.Access); err != nil {
				return err
			}
			v.Put(factPlace, nil) // it may have changed
			_, err := r.find(ctx, v)
			return err
		},
	}
}

// checkAddress looks at an address as far as that needs no network.
func checkAddress(_ context.Context, v *guide.Values) []guide.Line {
	if v.Get(keyPlace) == "" {
		return nil
	}
	url, err := ParsePlace(v.Get(keyPlace))
	if err == nil {
		p := config.Place{URL: url}
		if far(v) {
			p.Credentials = v.Get(keyCredential)
		}
		_, err = config.CheckPlace(p)
	}
	if err != nil {
		return lines([]vault.Check{wrong(err)})
	}
	if folder, here := hereFolder(url); here {
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			return lines([]vault.Check{note("mount the disk, or correct the path", "there is no folder %s yet", folder)})
		}
		return lines([]vault.Check{ok("a folder on this machine; it is only read")})
	}
	return lines([]vault.Check{ok("%s is asked when you go on", url)})
}

// which is there only where a place has several vaults.
func (r *recovery) which() guide.Step {
	return guide.Step{
		Key: "vault", Name: "Vault", Question: "Which of these vaults?", Loading: "opening the place",
		Why: "A place may hold several vaults, each in a folder of its own. Part 3 of the recovery sheet names the one that it speaks of.",
		Skip: func(v *guide.Values) bool {
			f := guide.FactOf[*foundPlace](v, factPlace)
			return r.w.Given.Vault != "" || f != nil && len(f.vaults) == 1
		},
		Load: func(ctx context.Context, v *guide.Values, _ guide.Talk) error { _, err := r.find(ctx, v); return err },
		Fields: []guide.Field{{Key: keyVault, Label: "vault", Kind: guide.Choice, Options: func(v *guide.Values) []guide.Option {
			var out []guide.Option
			if f := guide.FactOf[*foundPlace](v, factPlace); f != nil {
				for _, name := range f.vaults {
					out = append(out, guide.Option{Value: name, Label: name})
				}
			}
			return out
		}}},
	}
}

func (r *recovery) signed() guide.Step {
	typed := func(v *guide.Values) bool { return v.Get(keyWhose) != "place" }
	return guide.Step{
		Key: "signed", Name: "Signed by", Question: "Whose signature do the archives bear?", Skip: given(len(r.w.Given.Signers) > 0 || r.w.Given.TrustPlace),
		Text: "The fingerprint after \"signed by\" in part 3 of the recovery sheet.",
		Why: "Restoring an archive runs what is in it. Whoever can write into the place could have put archives of their own there, with keys of their own beside them: " +
			"so whose count is taken from paper. What the place itself offers is shown only for comparison, after something was typed.",
		Loading: "opening the place",
		Load:    func(ctx context.Context, v *guide.Values, _ guide.Talk) error { _, err := r.find(ctx, v); return err },
		Fields: []guide.Field{
			{Key: keyWhose, Label: "whose word", Kind: guide.Choice, Options: func(*guide.Values) []guide.Option {
				return []guide.Option{
					{Value: "sheet", Label: "the recovery sheet's"},
					{Value: "place", Label: "the place's own: WORSE", Hint: "whoever can write there can forge archives"},
				}
			}},
			{Key: keySigner, Label: "fingerprint", Kind: guide.Text, Hint: "SHA256:... (several: a space between)", When: typed, Valid: validFingerprint},
		},
		Check: func(_ context.Context, v *guide.Values) []guide.Line {
			if typed(v) {
				return nil
			}
			return lines([]vault.Check{note("find the sheet, if there is one: it takes a minute", "nothing then tells a forged archive from a true one, and restoring one can run programs on this machine")})
		},
		Body:  r.vouchedFor,
		Doing: "reading the signatures in the place",
		Do: func(ctx context.Context, v *guide.Values, _ guide.Talk) error {
			_, err := r.archives(ctx, v)
			return err
		},
	}
}

var fingerprint = regexp.MustCompile(`^(?i:sha256:)?[A-Za-z0-9+/]{43}=?$`)

func validFingerprint(_ *guide.Values, value []byte) guide.Line {
	for _, w := range strings.Fields(string(value)) {
		if !fingerprint.MatchString(w) {
			n := len(strings.TrimRight(w[strings.IndexByte(w, ':')+1:], "="))
			return guide.Line{State: "x", Text: fmt.Sprintf("SHA256: and 43 characters; here are %d", n)}
		}
	}
	return guide.Line{}
}

// vouchedFor shows what was found, and for comparison what the place offers.
func (r *recovery) vouchedFor(v *guide.Values) []guide.Section {
	var out []guide.Section
	if f := guide.FactOf[*foundPlace](v, factPlace); f != nil {
		out = append(out, guide.Section{Label: "found", Lines: []guide.Line{{Text: fmt.Sprintf("the vault %q in %s", r.vaultName(v, f), f.place.URL)}}})
	}
	if k := guide.FactOf[*vouched](v, factVouched); k != nil && v.Get(keyWhose) != "place" {
		keys := guide.Section{Label: "there"}
		for _, s := range k.Found {
			keys.Lines = append(keys.Lines, guide.Line{State: "ok", Text: s.Fingerprint + ", as was typed"})
		}
		for _, s := range k.Unknown {
			keys.Lines = append(keys.Lines, guide.Line{State: "!", Text: s + " was typed, and no key there has it"})
		}
		out = append(out, keys)
	}
	return out
}
