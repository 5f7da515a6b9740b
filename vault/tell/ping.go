package tell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// Signal is what a watchdog is told.
type Signal string

// The signals, as the end of a ping's address: https://healthchecks.io/docs/http_api/.
const (
	PingStart   Signal = "/start"
	PingSuccess Signal = ""
	PingFail    Signal = "/fail"
)

// maxPing bounds the file that holds a ping's address, and what is sent with
// a ping, in bytes: healthchecks keeps 100 KB.
const (
	maxPingFile = 4 << 10
	maxPingBody = 32 << 10
)

// CheckPing tells why a file cannot give a ping's address: it holds one line,
// https:// or http:// to this machine, and others cannot read it, because
// who knows the address can say that all is well.
func CheckPing(file string) error {
	_, err := pingAddress(file)
	return err
}

// ShowPing names the watchdog for people, or the file where it cannot be
// read.
func ShowPing(file string) string {
	u, err := pingAddress(file)
	if err != nil {
		return "ping_file"
	}
	return "ping " + u.Scheme + "://" + u.Host
}

func pingAddress(file string) (*url.URL, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !fi.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", file)
	case fi.Mode().Perm()&0o007 != 0:
		return nil, fmt.Errorf("everybody can read %s (mode %04o); who knows the address can say that all is well: chmod o= %s", file, fi.Mode().Perm(), file)
	}
	src, err := io.ReadAll(io.LimitReader(f, maxPingFile+1))
	text := strings.TrimSpace(string(src))
	if err == nil && (len(src) > maxPingFile || text == "" || strings.ContainsAny(text, "\r\n")) {
		err = fmt.Errorf("%s does not hold one address alone", file)
	}
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%s does not hold an address of the form https://…", file)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, fmt.Errorf("%s holds an address with http to another machine; without TLS only this machine is spoken to", file)
	}
	return u, nil
}

// pinger follows no redirection: that could lead to where there is no TLS.
var pinger = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// Ping tells the watchdog whose address is in file; body says why. A try
// that failed on the way is made once more, within ten seconds in all.
func Ping(ctx context.Context, file string, signal Signal, body string) error {
	u, err := pingAddress(file)
	if err != nil {
		return err
	}
	scrub := newScrubber(u.String(), u)
	to := *u
	to.Path, to.RawPath = strings.TrimSuffix(u.Path, "/")+string(signal), ""
	if len(body) > maxPingBody {
		body = strings.ToValidUTF8(body[:maxPingBody], "")
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	again, err := ping(ctx, to.String(), body)
	if err != nil && again && ctx.Err() == nil {
		_, err = ping(ctx, to.String(), body)
	}
	if err != nil {
		return errors.New(scrub.line(err.Error()))
	}
	return nil
}

func ping(ctx context.Context, to, body string) (again bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		return false, err
	}
	r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	res, err := pinger.Do(r)
	if err != nil {
		return true, err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer))
	if res.StatusCode/100 != 2 {
		return res.StatusCode >= 500, fmt.Errorf("it answered %s", res.Status)
	}
	return false, nil
}
