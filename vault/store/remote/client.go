package remote

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"pgvault/fault"
)

// HTTPClient is for the services that are spoken to by HTTP: TLS 1.2 or
// newer, the system's certificates, a proxy from the environment, and limits
// for everything but the transfer of a body, which a Reader or the caller's
// context watches.
func HTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   16,
		ForceAttemptHTTP2:     true,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
	}}
}

// CheckEndpoint refuses the URL of a service that would carry credentials in
// the clear: it has to be https; http only to this machine itself, named by
// a loopback address or localhost.
func CheckEndpoint(endpoint string) error {
	bad := func(why string) error {
		return &fault.Error{Op: "place", What: fmt.Sprintf("the endpoint %.100q cannot be used", withoutSecrets(endpoint)), Why: why,
			Left: "nothing was sent", Do: "write it as https://host[:port]", Code: fault.Usage}
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "":
		return bad("it is not the URL of a service")
	case u.User != nil:
		return bad("an address holds no credentials")
	case u.RawQuery != "" || u.Fragment != "":
		return bad("it has options or a fragment")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return bad("it is neither https nor http")
	case !Loopback(u.Hostname()):
		return bad("http is not encrypted, and it is not on this machine")
	}
	return nil
}

// Loopback tells whether a host is this machine: localhost, 127.0.0.0/8, ::1.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// withoutSecrets leaves out what may be one in an address that is not right.
func withoutSecrets(endpoint string) string {
	if u, err := url.Parse(endpoint); err == nil {
		u.User, u.RawQuery, u.Fragment = nil, "", ""
		return u.String()
	}
	return "…"
}
