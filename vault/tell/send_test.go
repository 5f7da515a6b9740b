package tell

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// canary is the secret part of every address here.
const canary = "Canary7Secret8Never9Shown"

var late = Message{Title: "pgvault on db1: shöp late", Head: "host db1 · vault main", Entries: []Entry{{"shop: late",
	Lines{"no good backup for 3 days; you allow 1 day", "nothing started a backup since 2025-06-17 12:00Z", "3 good archives are there", "pgvault backup shop"}}}}

// sent fails the test unless the one address took the message.
func sent(t *testing.T, address string, m Message) {
	t.Helper()
	for _, r := range new(Sender).Send(t.Context(), []string{address}, m) {
		if r.Err != nil {
			t.Fatalf("%s: %v", r.Sink, r.Err)
		}
	}
}

// refused gives the error of an address that must not take the message, and
// fails the test where that holds the secret.
func refused(t *testing.T, address string) string {
	t.Helper()
	r := new(Sender).Send(t.Context(), []string{address}, late)[0]
	if r.Err == nil {
		t.Fatalf("%s took it", r.Sink)
	}
	if text := r.Sink + r.Err.Error(); strings.Contains(text, canary) || strings.Contains(text, "\n") || len(r.Err.Error()) > maxReason+10 {
		t.Fatalf("%q", text)
	}
	return r.Err.Error()
}

// fourLines fails the test unless text holds the message's four lines.
func fourLines(t *testing.T, text string) {
	t.Helper()
	l := late.Entries[0].Lines
	for _, want := range []string{"what  " + l.What, "why   " + l.Why, "left  " + l.Left, "do    " + l.Do, "host db1"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
}

func TestMail(t *testing.T) {
	box := newMailbox(t)
	address := "smtp://vault:" + canary + "@" + box.addr + "/?from=vault@example.org&to=duty@example.org,boss@example.org"
	sent(t, address, late)
	mails := box.all()
	if len(mails) != 1 || strings.Join(box.to, " ") != "duty@example.org boss@example.org" {
		t.Fatalf("%d mails to %v", len(mails), box.to)
	}
	h, err := textproto.NewReader(bufio.NewReader(strings.NewReader(mails[0]))).ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
	if err != nil || subject != late.Title {
		t.Errorf("subject %q, %v", subject, err)
	}
	fourLines(t, mails[0])
	if strings.Contains(mails[0], canary) {
		t.Error("the mail holds the password")
	}
}

// TestMailOverTLS: with a password, by STARTTLS and by TLS from the start; a
// server that nobody vouches for gets neither the mail nor the password.
func TestMailOverTLS(t *testing.T) {
	self := httptest.NewTLSServer(nil) // for its certificate
	defer self.Close()
	cert := &tls.Config{Certificates: self.TLS.Certificates}
	for name, c := range map[string]struct {
		fromTheStart bool
		options      string
	}{"STARTTLS": {false, ""}, "from the start": {true, "&encryption=ImplicitTLS"}} {
		box := newMailboxWith(t, cert, c.fromTheStart)
		address := "smtp://vault:" + canary + "@" + box.addr + "/?from=vault@example.org&to=duty@example.org" + c.options
		if why := refused(t, address); !strings.Contains(why, "certificate") || len(box.all()) != 0 {
			t.Errorf("%s, of a stranger: %q", name, why)
		}
		sent(t, address+"&skiptlsverify=yes", late) // allowed for this very machine
		if mails := box.all(); len(mails) != 1 {
			t.Errorf("%s: %d mails", name, len(mails))
		} else {
			fourLines(t, mails[0])
		}
	}
}

// TestMailRefused: what a mail server says is told, without the password
// that it repeats.
func TestMailRefused(t *testing.T) {
	box := newMailbox(t)
	box.password = "another"
	address := "smtp://vault:" + canary + "@" + box.addr + "/?from=vault@example.org&to=duty@example.org"
	if why := refused(t, address); !strings.Contains(why, "is not known with "+hidden) {
		t.Errorf("%q", why)
	}
	box.password, box.refuse = canary, errors.New("the quota of "+canary+" is used up")
	if why := refused(t, address); !strings.Contains(why, "quota") {
		t.Errorf("%q", why)
	}
}

// TestWebhooks goes through every form of sink over HTTP.
func TestWebhooks(t *testing.T) {
	field := func(keys ...string) func(*testing.T, got) string {
		return func(t *testing.T, g got) string {
			var doc map[string]any
			if err := json.Unmarshal([]byte(g.body), &doc); err != nil {
				t.Fatalf("%v: %s", err, g.body)
			}
			out := ""
			for _, k := range keys {
				out += fmt.Sprint(doc[k]) + "\n"
			}
			return out
		}
	}
	for name, c := range map[string]struct {
		address func(w *web) string
		answer  string
		path    string
		meant   string // for which host, where that is fixed
		text    func(*testing.T, got) string
	}{
		"webhook":      {func(w *web) string { return w.URL + "/hooks/" + canary + "?room=7" }, "fine", "/hooks/" + canary + "?room=7", "", field("title", "message")},
		"generic":      {func(w *web) string { return "generic://" + w.host() + "/x?disabletls=yes" }, "", "/x", "", func(_ *testing.T, g got) string { return g.body }},
		"generic+http": {func(w *web) string { return "generic+" + w.URL + "/x?template=json" }, "", "/x", "", field("title", "message")},
		"ntfy": {func(w *web) string { return "ntfy://vault:" + canary + "@" + w.host() + "/backups?scheme=http" }, `{"id":"x"}`, "/backups", "",
			func(_ *testing.T, g got) string { return g.header.Get("Title") + "\n" + g.body }},
		"slack hook": {func(*web) string { return "slack://hook:TABCDEFGH-BABCDEFGH-" + canary + "@webhook" }, "ok", "/services/TABCDEFGH/BABCDEFGH/" + canary, "hooks.slack.com",
			slackText},
		"slack bot": {func(*web) string { return "slack://xoxb:TABCDEFGH-BABCDEFGH-" + canary + "@C123" }, `{"ok":true}`, "/api/chat.postMessage", "slack.com", slackText},
		"telegram": {func(*web) string { return "telegram://123456:" + canary + "@telegram?chats=@duty" }, `{"ok":true}`, "/bot123456:" + canary + "/sendMessage", "api.telegram.org",
			field("text", "chat_id")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWeb(t, func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, c.answer) })
			if c.meant != "" {
				w.instead(t)
			}
			sent(t, c.address(w), late)
			all := w.requests()
			if len(all) != 1 || all[0].method != "POST" || all[0].path != c.path || all[0].header.Get("X-Meant-For") != c.meant {
				t.Fatalf("%+v", all)
			}
			fourLines(t, c.text(t, all[0]))
		})
	}
}

// slackText joins the lines that shoutrrr makes attachments of.
func slackText(t *testing.T, g got) string {
	var doc struct {
		Text        string
		Attachments []struct{ Text string }
	}
	if err := json.Unmarshal([]byte(g.body), &doc); err != nil {
		t.Fatal(err)
	}
	for _, a := range doc.Attachments {
		doc.Text += "\n" + a.Text
	}
	return doc.Text
}

// TestAnswersWithTheSecret: a server that refuses, with the secret and a
// terminal's escape in its answer.
func TestAnswersWithTheSecret(t *testing.T) {
	echo := func(rw http.ResponseWriter, r *http.Request) {
		rw.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(rw, `{"ok":false,"error":"%[1]s","description":"no %[1]s \u001b[2J","code":1,"http":500,"link":"%[2]s"}`+"\x1b[2J\n%[3]s", canary, r.URL, strings.Repeat(canary, 100))
	}
	w := newWeb(t, echo)
	local := []string{w.URL + "/" + canary, w.URL + "/?token=" + canary, "ntfy://u:" + canary + "@" + w.host() + "/" + canary + "?scheme=http"}
	for _, a := range local {
		if why := refused(t, a); !strings.Contains(why, "500") && !strings.Contains(why, "no "+hidden) {
			t.Errorf("%q", why)
		}
	}
	w.instead(t)
	for _, a := range []string{"slack://hook:TABCDEFGH-BABCDEFGH-" + canary + "@webhook", "slack://TABCDEFGH/BABCDEFGH/" + canary, "slack://xoxb:TABCDEFGH-BABCDEFGH-" + canary + "@C123",
		"telegram://123456:" + canary + "@telegram?chats=@duty"} {
		refused(t, a)
	}
	w.Close() // now nobody answers: the client's own words hold the address
	for _, a := range append(local, "telegram://123456:"+canary+"@telegram?chats=@duty", "slack://hook:TABCDEFGH-BABCDEFGH-"+canary+"@webhook") {
		refused(t, a)
	}
}

// TestHangs: a sink that hangs holds up no other, and gets no second message
// until the first has ended.
func TestHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes a connection and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	release := make(chan struct{})
	held := newWeb(t, func(_ http.ResponseWriter, r *http.Request) { <-release })
	defer close(release)
	fine := newWeb(t, func(http.ResponseWriter, *http.Request) {})
	s := &Sender{limit: 200 * time.Millisecond}
	addresses := []string{"smtp://" + l.Addr().String() + "/?from=a@b.c&to=d@e.f", held.URL + "/x", fine.URL + "/x"}
	for round, want := range []string{"no answer within 200ms", "neither arrived nor failed"} {
		before := time.Now()
		got := s.Send(t.Context(), addresses, late)
		if took := time.Since(before); took > 5*time.Second {
			t.Errorf("round %d took %s", round, took)
		}
		for i, r := range got {
			if hangs := i < 2; hangs != (r.Err != nil) || hangs && !strings.Contains(r.Err.Error(), want) {
				t.Errorf("round %d, %s: %v", round, r.Sink, r.Err)
			}
		}
	}
	if n := len(fine.requests()); n != 2 {
		t.Errorf("%d messages arrived", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := new(Sender).Send(ctx, []string{held.URL + "/y"}, late); !errors.Is(r[0].Err, nil) && !strings.Contains(r[0].Err.Error(), "canceled") {
		t.Errorf("cancelled: %v", r[0].Err)
	}
}

// TestSlackCallsNobody: a name from a database is no command.
func TestSlackCallsNobody(t *testing.T) {
	w := newWeb(t, func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "ok") })
	w.instead(t)
	m := late
	m.Title, m.Entries = "<!channel> & co", []Entry{{"<!here>: late", late.Entries[0].Lines}}
	sent(t, "slack://hook:TABCDEFGH-BABCDEFGH-"+canary+"@webhook", m)
	if text := slackText(t, w.requests()[0]); strings.Contains(text, "<!") || !strings.Contains(text, "&lt;!channel&gt; &amp; co") {
		t.Errorf("%q", text)
	}
}

func TestTextFits(t *testing.T) {
	m := Message{Title: "x", Head: "host db1"}
	for i := range 100 {
		m.Entries = append(m.Entries, Entry{fmt.Sprintf("db%d\x1b[2J\n: late", i), late.Entries[0].Lines})
	}
	m.Still = []string{"other: late since yesterday"}
	short, long := m.Text(shortMessage), m.Text(longMessage)
	if len(short) > shortMessage || !strings.Contains(short, "more: pgvault status") || strings.Contains(long, "more: pgvault status") {
		t.Errorf("%d bytes: %s", len(short), short[len(short)-80:])
	}
	if n := strings.Count(long, "what  "); n != 100 || !strings.Contains(long, "Still the matter:\n\n  other") || strings.ContainsAny(long, "\x1b\r") {
		t.Errorf("%d entries", n)
	}
}

// TestWebhookExtras: @name is a header, $name a field; a redirection is not
// followed.
func TestWebhookExtras(t *testing.T) {
	w := newWeb(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(rw, r, "http://example.org/", http.StatusTemporaryRedirect)
		}
	})
	sent(t, w.URL+"/x?@Authorization=Bearer+"+canary+"&$room=7&a=b", late)
	g := w.requests()[0]
	if g.header.Get("Authorization") != "Bearer "+canary || !strings.Contains(g.body, `"room":"7"`) || g.path != "/x?a=b" || g.header.Get("Content-Type") != "application/json" {
		t.Errorf("%+v", g)
	}
	if why := refused(t, w.URL+"/away"); !strings.Contains(why, "307") {
		t.Errorf("%q", why)
	}
}
