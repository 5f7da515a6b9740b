package tell

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/specialized/generic"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// webhookService takes its address from shoutrrr and sends by itself, for the
// reasons of mailService: @Name=value is a header, $name=value a field more.
type webhookService struct {
	c       *generic.Config
	headers http.Header
	fields  map[string]string
}

// Initialize implements service.
func (s *webhookService) Initialize(address *url.URL, _ types.StdLogger) error {
	s.c, _ = generic.DefaultConfig()
	s.headers, s.fields = http.Header{}, map[string]string{}
	for key, values := range address.Query() {
		if name, ok := strings.CutPrefix(key, "@"); ok {
			s.headers.Set(name, values[0])
		} else if name, ok := strings.CutPrefix(key, "$"); ok {
			s.fields[name] = values[0]
		}
	}
	if err := s.c.SetURL(address); err != nil {
		return err
	}
	if s.c.Template != "" && !s.json() {
		return errors.New("template: json is the only one, or none for plain text")
	}
	return nil
}

func (s *webhookService) json() bool { return strings.EqualFold(s.c.Template, generic.JSONTemplate) }

// Send implements service.
func (s *webhookService) Send(message string, p *types.Params) error {
	body, kind := []byte(message), "text/plain; charset=utf-8"
	if s.json() {
		title, _ := p.Title()
		s.fields[s.c.TitleKey], s.fields[s.c.MessageKey] = title, message
		var err error
		if body, err = json.Marshal(s.fields); err != nil {
			return err
		}
		kind = s.c.ContentType
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, s.c.RequestMethod, s.c.WebhookURL().String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", kind)
	for name, values := range s.headers {
		r.Header[name] = values
	}
	res, err := pinger.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer))
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("it answered %s", res.Status)
	}
	return nil
}
