package remote

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Transient tells which statuses say to come back later.
func Transient(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500
}

// Network tells an error of a connection from one that was made here.
func Network(err error) bool {
	var n net.Error
	return errors.As(err, &n) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// NotSent tells that no byte of a request can have reached the service.
func NotSent(err error) bool {
	var n *net.OpError
	return errors.As(err, &n) && n.Op == "dial"
}

// WithoutURL leaves the URL out of an HTTP client's error, but its host: a
// signed one, and that of an upload session, is as good as a key.
func WithoutURL(err error) error {
	var u *url.Error
	if !errors.As(err, &u) {
		return err
	}
	host := ""
	if at, perr := url.Parse(u.URL); perr == nil && at.Host != "" {
		host = at.Host + ": "
	}
	return fmt.Errorf("%s%w", host, u.Err)
}

// longWord is from how many bytes on a word could be a token or a key.
const longWord = 60

// Brief is Words without every word so long that it could be a secret.
func Brief(text string) string {
	words := strings.Fields(Words(text))
	for i, w := range words {
		if len(w) > longWord {
			words[i] = "…"
		}
	}
	return strings.Join(words, " ")
}
