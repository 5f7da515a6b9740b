package tell

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/slack"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/ntfy"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/specialized/generic"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// schemes are the kinds of sink, and for each what makes its service. They
// are named here one by one: shoutrrr's own router would link all of its
// services, most of which answer a failed request in ways of their own. Mail,
// webhooks and Telegram are only read by shoutrrr and sent by this room.
var schemes = map[string]func() service{
	"smtp":          func() service { return &mailService{} },
	"slack":         func() service { return &slack.Service{} },
	"telegram":      func() service { return &telegramService{} },
	"ntfy":          func() service { return &ntfy.Service{} },
	"generic":       func() service { return &webhookService{} },
	"generic+https": func() service { return &webhookService{} },
	"generic+http":  func() service { return &webhookService{} },
	"https":         func() service { return &webhookService{} },
	"http":          func() service { return &webhookService{} },
}

// service is what pgvault uses of shoutrrr's.
type service interface {
	Initialize(address *url.URL, logger types.StdLogger) error
	Send(message string, params *types.Params) error
}

// Schemes lists the kinds of sink, sorted, for messages.
func Schemes() []string {
	return []string{"generic", "https", "ntfy", "slack", "smtp", "telegram"}
}

// Scheme gives the scheme of an address, lower case, and whether there is
// such a kind of sink. Empty: the text does not begin as an address does.
func Scheme(address string) (scheme string, known bool) {
	scheme, _, ok := strings.Cut(address, "://")
	if !ok {
		return "", false
	}
	scheme = strings.ToLower(scheme)
	_, known = schemes[scheme]
	return scheme, known
}

// Check tells why an address cannot be a sink, in words that hold nothing
// secret of it; nil if it can. Nothing is sent.
func Check(address string) error {
	_, err := parse(address)
	return err
}

// Show names a sink for people: its scheme, and its host where that is no
// part of a secret.
func Show(address string) string {
	scheme, known := Scheme(address)
	if !known {
		return "an address"
	}
	u, err := url.Parse(address)
	if err != nil || scheme == "slack" || scheme == "telegram" || u.Host == "" {
		return scheme + "://…"
	}
	return scheme + "://" + u.Host
}

// Names gives Show of each address, with a number where two look the same.
func Names(addresses []string) []string {
	out, seen := make([]string, len(addresses)), map[string]int{}
	for i, a := range addresses {
		out[i] = Show(a)
		if seen[out[i]]++; seen[out[i]] > 1 {
			out[i] = fmt.Sprintf("%s (%d)", out[i], seen[out[i]])
		}
	}
	return out
}

// target is an address, understood.
type target struct {
	service
	scheme string
	scrub  scrubber
}

// silent takes what the services say while they work: some of it is secret.
var silent = log.New(io.Discard, "", 0)

// parse makes a target anew for each message: some services keep a part of
// the last one.
func parse(address string) (*target, error) {
	scheme, known := Scheme(address)
	switch {
	case scheme == "":
		return nil, errors.New("it is not of the form scheme://…")
	case !known:
		return nil, fmt.Errorf("there is no such kind of sink; known are %s", strings.Join(Schemes(), ", "))
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("it is not a URL; in a password write odd characters as %XX")
	}
	t := &target{scheme: scheme, scrub: newScrubber(address, u), service: schemes[scheme]()}
	u.Scheme = scheme
	if scheme != "slack" && scheme != "telegram" && scheme != "ntfy" && u.Hostname() == "" {
		return nil, errors.New("it names no host")
	}
	if u, err = webhook(u); err == nil {
		err = t.Initialize(u, silent)
	}
	if err == nil {
		err = t.careful()
	}
	if err != nil {
		return nil, errors.New(t.scrub.line(err.Error()))
	}
	return t, nil
}

// webhook turns an https:// address, and generic+https://, into the form
// that shoutrrr knows it by.
func webhook(u *url.URL) (*url.URL, error) {
	plain := u.Scheme == "https" || u.Scheme == "http"
	if !plain && !strings.HasPrefix(u.Scheme, "generic+") {
		return u, nil
	}
	out, err := (&generic.Service{}).GetConfigURLFromCustom(u)
	if err != nil {
		return nil, err
	}
	if q := out.Query(); plain && q.Get("template") == "" {
		q.Set("template", generic.JSONTemplate)
		out.RawQuery = q.Encode()
	}
	return out, nil
}

// careful refuses what would go over a network unencrypted, or to who knows
// whom; for mail it asks for TLS where there is a password.
func (t *target) careful() error {
	const remedy = "; without TLS only this machine is spoken to (localhost, 127.0.0.1, [::1])"
	switch s := t.service.(type) {
	case *webhookService:
		if s.c.DisableTLS && !loopback(s.c.WebhookURL().Hostname()) {
			return errors.New("http to another machine" + remedy)
		}
	case *ntfy.Service:
		host := (&url.URL{Host: s.Config.Host}).Hostname()
		if (s.Config.DisableTLS || s.Config.DisableTLSVerification || s.Config.Scheme != "https") && !loopback(host) {
			return errors.New("ntfy without TLS, or without checking who answers, on another machine" + remedy)
		}
	case *mailService:
		return s.careful()
	}
	return nil
}

func (s *mailService) careful() error {
	c := s.c
	if loopback(c.Host) {
		return nil
	}
	if c.SkipTLSVerify {
		return errors.New("skiptlsverify: it would not be known whose server that is")
	}
	if c.Username == "" {
		return nil
	}
	if !s.implicitTLS() && !c.UseStartTLS {
		return errors.New("a password, and neither STARTTLS nor TLS from the start")
	}
	c.RequireStartTLS = !s.implicitTLS()
	return nil
}

// loopback tells whether a host is this very machine.
func loopback(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return slices.Contains([]string{"localhost", "localhost."}, strings.ToLower(host))
}
