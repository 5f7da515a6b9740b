package tell

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/email/smtp"
	"pgregory.net/rapid"
)

func TestCheck(t *testing.T) {
	for address, want := range map[string]string{ // empty: it is good
		"smtp://mail.example.org/?from=a@b.c&to=d@e.f":                              "",
		"smtp://u:pass@mail.example.org:465/?from=a@b.c&to=d@e.f":                   "",
		"smtp://u:pass@mail.example.org:587/?from=a@b.c&to=d@e.f":                   "",
		"smtp://u:pass@mail.example.org:587/?from=a@b.c&to=d@e.f&starttls=no":       "STARTTLS",
		"smtp://u:pass@mail.example.org:587/?from=a@b.c&to=d@e.f&skiptlsverify=yes": "skiptlsverify",
		"smtp://u:pass@localhost:25/?from=a@b.c&to=d@e.f&starttls=no":               "",
		"smtp://mail.example.org/?from=a@b.c":                                       "toAddress",
		"smtp://mail.example.org/?to=a@b.c":                                         "fromAddress",
		"smtp://mail.example.org/?from=a@b.c&to=d@e.f&colour=" + canary:             "colour",
		"smtp:///?from=a@b.c&to=d@e.f":                                              "no host",
		"slack://hook:TABCDEFGH-BABCDEFGH-" + canary + "@webhook":                   "",
		"slack://" + canary + "@webhook":                                            "token",
		"telegram://1:" + canary + "@telegram?chats=@a":                             "",
		"telegram://1:" + canary + "@telegram":                                      "channels",
		"telegram://" + canary + "@telegram?chats=@a":                               "token",
		"ntfy://ntfy.sh/topic":                                                      "",
		"ntfy://ntfy.sh":                                                            "topic",
		"ntfy://ntfy.sh/topic?scheme=http":                                          "without TLS",
		"ntfy://ntfy.sh/topic?disabletls=yes":                                       "without TLS",
		"ntfy://ntfy.sh/topic?disabletlsverification=yes":                           "without TLS",
		"ntfy://127.0.0.1:80/topic?scheme=http":                                     "",
		"https://hooks.example.org/" + canary:                                       "",
		"http://hooks.example.org/" + canary:                                        "only this machine",
		"http://127.0.0.1:9/x":                                                      "",
		"http://[::1]:9/x":                                                          "",
		"http://127.0.0.1.example.org/x":                                            "only this machine",
		"http://localhost@hooks.example.org/x":                                      "only this machine",
		"generic://hooks.example.org/x?disabletls=yes":                              "only this machine",
		"generic+http://hooks.example.org/x":                                        "only this machine",
		"generic+https://hooks.example.org/x":                                       "",
		"https:///" + canary:                                                        "no host",
		"https://a b/" + canary:                                                     "not a URL",
		"https://u:%zz" + canary + "@h/":                                            "not a URL",
		"discord://" + canary + "@1":                                                "no such kind",
		canary:                                                                      "scheme://",
		"":                                                                          "scheme://",
	} {
		err := Check(address)
		switch {
		case (err == nil) != (want == ""):
			t.Errorf("%s: %v", address, err)
		case err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), canary)):
			t.Errorf("%s: %q does not say %q", address, err, want)
		}
	}
}

func TestShow(t *testing.T) {
	for address, want := range map[string]string{
		"smtp://u:pass@mail.example.org:587/?from=a@b.c&to=d@e.f": "smtp://mail.example.org:587",
		"slack://TOKENTOKE/TOKENTOKE/x":                           "slack://…",
		"telegram://1:x@telegram?chats=@a":                        "telegram://…",
		"HTTPS://hooks.example.org/x":                             "https://hooks.example.org",
		"ntfy:///topic":                                           "ntfy://…",
		"secret://secret":                                         "an address",
		"secret":                                                  "an address",
	} {
		if got := Show(address); got != want {
			t.Errorf("%s: %q, not %q", address, got, want)
		}
	}
	if got := Names([]string{"ntfy://a/b", "ntfy://a/c", "ntfy://b/c"}); !slices.Equal(got, []string{"ntfy://a", "ntfy://a (2)", "ntfy://b"}) {
		t.Errorf("%v", got)
	}
}

// TestMailWithPasswordAsksForTLS: a server that offers none gets no
// password.
func TestMailWithPasswordAsksForTLS(t *testing.T) {
	target, err := parse("smtp://u:pass@mail.example.org:587/?from=a@b.c&to=d@e.f")
	if err != nil {
		t.Fatal(err)
	}
	if c := mailOf(target); !c.RequireStartTLS {
		t.Error("STARTTLS is not required")
	}
	if target, err = parse("smtp://u:pass@mail.example.org:465/?from=a@b.c&to=d@e.f"); err != nil || mailOf(target).RequireStartTLS {
		t.Errorf("port 465: %v", err)
	}
}

// TestScrubs makes addresses of all forms around a secret, and texts that
// repeat parts of them in every way: the secret is never left.
func TestScrubs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[A-Za-z0-9_!%+ "\\ü]{6,20}`).Draw(t, "secret")
		e, q := url.PathEscape(secret), url.QueryEscape(secret)
		address := rapid.SampledFrom([]string{"smtp://u:" + url.UserPassword("u", secret).String()[2:] + "@h/?from=a@b.c&to=d@e.f", "https://h/a/" + e, "https://h/?token=" + q,
			"telegram://1:" + url.UserPassword("u", secret).String()[2:] + "@telegram?chats=@a", "ntfy://h/" + e, "generic://h/x?@Authorization=" + q}).Draw(t, "address")
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		said := rapid.SampledFrom([]string{address, u.String(), u.RequestURI(), secret, e, q, url.UserPassword("u", secret).String(), u.Redacted() + " " + secret}).Draw(t, "said")
		got := newScrubber(address, u).line("before " + said + " after")
		for _, s := range []string{secret, e, q} {
			if strings.Contains(got, s) {
				t.Fatalf("%q holds %q", got, s)
			}
		}
	})
}

func mailOf(t *target) *smtp.Config { return t.service.(*mailService).c }
