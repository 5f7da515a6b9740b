package tell

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/telegram"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// telegramService takes its address from shoutrrr and sends by itself:
// shoutrrr 0.13 reports a message that Telegram could not be reached with as
// sent.
type telegramService struct{ c *telegram.Config }

// Initialize implements service.
func (s *telegramService) Initialize(address *url.URL, logger types.StdLogger) error {
	t := &telegram.Service{}
	if err := t.Initialize(address, logger); err != nil {
		return err
	}
	s.c = t.GetConfig()
	return nil
}

// Send implements service, by https://core.telegram.org/bots/api#sendmessage.
func (s *telegramService) Send(message string, p *types.Params) error {
	if title, ok := p.Title(); ok {
		message = title + "\n\n" + message
	}
	for _, chat := range s.c.Chats {
		if err := s.send(chat, message); err != nil {
			return err
		}
	}
	return nil
}

func (s *telegramService) send(chat, message string) error {
	body, err := json.Marshal(map[string]any{"chat_id": chat, "text": message, "disable_notification": !s.c.Notification,
		"link_preview_options": map[string]bool{"is_disabled": true}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.telegram.org/bot"+s.c.Token+"/sendMessage", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	src, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	var answer struct {
		OK          bool   `json:"ok"`
		Description string `json:"description"`
	}
	if err := json.Unmarshal(src, &answer); err != nil || !answer.OK {
		return fmt.Errorf("it answered %s: %s", res.Status, answer.Description)
	}
	return nil
}
