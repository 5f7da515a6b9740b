package setup

import (
	"strings"
	"testing"
	"time"

	"pgvault/vault"
	"pgvault/vault/archive"
)

func sheetOf(t *testing.T, recipients int, urls ...string) *Sheet {
	t.Helper()
	f := &vault.SheetFacts{Vault: "main", ID: strings.Repeat("ab", 16), Config: "/etc/pgvault/config.toml",
		Signers: []archive.Signing{{Public: "ssh-ed25519 " + strings.Repeat("A", 68), Fingerprint: "SHA256:" + strings.Repeat("s", 43)}}}
	for _, u := range urls {
		f.Places = append(f.Places, vault.SheetPlace{Name: "place", URL: u})
	}
	for range recipients {
		f.Recipients = append(f.Recipients, archive.Recipient{Name: "somebody", Kind: archive.KindX25519, Fingerprint: "SHA256:" + strings.Repeat("f", 43)})
	}
	s, err := MakeSheet(f, "1.2.3", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSheetOfEachKind: what fetches an archive from each kind of place.
func TestSheetOfEachKind(t *testing.T) {
	for url, want := range map[string][]string{
		"file:/srv/a%20b": {"ls '/srv/a b/main'", `ls '/srv/a b/main'/"$DB"/*/manifest.json`, `cp -r '/srv/a b/main'/"$DB"/"$ID" .`},
		"s3://bucket/p?region=eu-central-1&endpoint=https://s3.example.org": {
			"aws --endpoint-url https://s3.example.org --region eu-central-1 s3 ls s3://bucket/p/main/",
			`aws --endpoint-url https://s3.example.org --region eu-central-1 s3 cp --recursive s3://bucket/p/main/"$DB"/"$ID" "$ID"`},
		"gs://bucket/p":               {`gcloud storage cp -r gs://bucket/p/main/"$DB"/"$ID" .`},
		"sftp://pg@nas:2222/pg":       {`echo ls -1 /pg/main/"$DB"/\*/manifest.json | sftp -b - -P 2222 pg@nas`, `sftp -r -P 2222 pg@nas:/pg/main/"$DB"/"$ID" .`},
		"sftp://nas/~/pg":             {`sftp -r nas:pg/main/"$DB"/"$ID" .`},
		"sftp://pg@[fe80::1]/pg":      {`sftp -r 'pg@[fe80::1]:/pg/main'/"$DB"/"$ID" .`},
		"azblob://account/box/p":      {`az storage blob download-batch --auth-mode login --account-name account -s box --pattern p/main/"$DB"/"$ID"/'*' -d . && mv p/main/"$DB"/"$ID" .`},
		"s3://bucket?path_style=true": {`aws s3 cp --recursive s3://bucket/main/"$DB"/"$ID" "$ID"`},
	} {
		text := sheetOf(t, 2, url).Text()
		for _, l := range want {
			if !strings.Contains(text, "\n    "+l+"\n") {
				t.Errorf("%s: no line\n%s\nin\n%s", url, l, text)
			}
		}
	}
}

// TestSheetOnOnePage: three places and five keys fit at a size that can be
// read (6 points are 2.1 mm), and more makes the letters smaller.
func TestSheetOnOnePage(t *testing.T) {
	one := sheetOf(t, 2, "file:/backup").letter()
	many := sheetOf(t, 5, "file:/backup", "s3://acme-pgbackup/main?region=eu-central-1", "sftp://pgvault@nas/pg").letter()
	if one < 2.6 || many < 2.1 || many > one {
		t.Errorf("%.2f mm with one place, %.2f mm with three", one, many)
	}
	page := sheetOf(t, 1, "file:/a&b").HTML()
	if !strings.Contains(page, "file:/a&amp;b") || strings.Contains(page, "a&b") {
		t.Error("what a place is called is not quoted")
	}
}
