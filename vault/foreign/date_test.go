package foreign

import (
	"testing"
	"time"
)

func TestDateFromName(t *testing.T) {
	zone := time.FixedZone("east", 2*3600)
	for name, want := range map[string]string{
		"backup-2024-01-01.sql":             "2024-01-01T00:00:00+02:00",
		"shop_20240101_0200.dump.gz":        "2024-01-01T02:00:00+02:00",
		"shop_20240101T020304Z.dump":        "2024-01-01T02:03:04Z",
		"shop-20240131235959.sql":           "2024-01-31T23:59:59+02:00",
		"2024.02.29 18h30.tar":              "2024-02-29T18:30:00+02:00",
		"pg_15_2023-12-24_23:59.sql.zst":    "2023-12-24T23:59:00+02:00",
		"20240101_1234567.sql":              "2024-01-01T00:00:00+02:00",
		"2024-01-01/no":                     "2024-01-01T00:00:00+02:00",
		"a-2024-01-01-b-2024-01-01.sql":     "2024-01-01T00:00:00+02:00",
		"shop-2024-01-01.2.sql":             "2024-01-01T00:00:00+02:00",
		"2023-02-29.sql":                    "",
		"2024-13-01.sql":                    "",
		"20241301.sql":                      "",
		"120240101.sql":                     "",
		"202401011.sql":                     "",
		"2024-0101.sql":                     "",
		"1984-01-01.sql":                    "",
		"from-2024-01-01-to-2024-02-01.sql": "",
		"shop.dump":                         "",
		"":                                  "",
		"01-02-2024.sql":                    "",
	} {
		got, ok := DateFromName(name, zone)
		text := ""
		if ok {
			text = got.Format(time.RFC3339)
		}
		if text != want {
			t.Errorf("%s: %q, expected %q", name, text, want)
		}
	}
}

func FuzzDateFromName(f *testing.F) {
	f.Add("shop_20240101_0200.dump.gz")
	f.Add("2024-01-01-2024-01-01-9999999999999999")
	f.Fuzz(func(t *testing.T, name string) {
		if at, ok := DateFromName(name, time.UTC); ok && (at.Year() < 1996 || at.Year() >= 2200) {
			t.Error(at)
		}
	})
}
