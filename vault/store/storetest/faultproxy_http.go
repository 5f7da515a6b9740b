package storetest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
)

// serve handles one request of a client.
func (p *FaultProxy) serve(w http.ResponseWriter, r *http.Request) {
	rule, line := p.match(r)
	if rule == nil {
		p.pass(w, r, line)
		return
	}
	switch rule.Do {
	case FaultAnswer:
		p.note(line, FaultAnswer, "answered %d", rule.Status)
		answer(w, r, rule)
	case FaultStall:
		_, _ = io.Copy(io.Discard, r.Body) // the client may be cut off in it
		p.note(line, FaultStall, "stalled")
		p.stall(r)
	case FaultResetRequest:
		p.halfRequest(r)
		p.note(line, FaultResetRequest, "reset in the request")
		reset(w)
	case FaultLoseAnswer, FaultResetResponse, FaultTruncate, FaultStallResponse, FaultWrongRequest,
		FaultWrongResponse, FaultTwiceRequest, FaultTwiceResponse:
		p.spoil(w, r, rule.Do, line)
	default:
		panic(fmt.Sprintf("fault proxy: a rule without a fault: %+v", rule))
	}
}

// answer is the proxy's own. The request's body is read first: a server that
// answers at once and closes would be another fault.
func answer(w http.ResponseWriter, r *http.Request, rule *FaultRule) {
	_, _ = io.Copy(io.Discard, r.Body) // the client may be cut off in it
	w.Header().Set("Content-Type", "application/xml")
	for k, v := range rule.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(rule.Status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, rule.Body) // the client may be gone
	}
}

// stall waits until the client goes away or the test ends.
func (p *FaultProxy) stall(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-p.ended.Done():
	}
	panic(http.ErrAbortHandler)
}

// forward sends a request to the server as it came, with the given body.
func (p *FaultProxy) forward(r *http.Request, body io.Reader) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = p.target.Scheme, p.target.Host
	out.Body = io.NopCloser(body)
	if r.ContentLength == 0 {
		out.Body = http.NoBody
	}
	if _, told := r.Header["User-Agent"]; !told {
		out.Header["User-Agent"] = nil
	}
	out.Header.Del("Connection")
	out.Close = false
	return p.client.RoundTrip(out)
}

// pass changes nothing.
func (p *FaultProxy) pass(w http.ResponseWriter, r *http.Request, line int) {
	resp, err := p.forward(r, r.Body)
	if err != nil {
		p.note(line, 0, "the server: %v", err)
		reset(w)
		return
	}
	defer resp.Body.Close()
	p.note(line, 0, "%d", resp.StatusCode)
	p.headers(w.Header(), resp)
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// headers are the server's, but that places of its own become the proxy's.
func (p *FaultProxy) headers(to http.Header, resp *http.Response) {
	for k, v := range resp.Header {
		hidden := func(start string) bool { return strings.HasPrefix(strings.ToLower(k), strings.ToLower(start)) }
		if k != "Connection" && !slices.ContainsFunc(p.hide, hidden) {
			to[k] = v
		}
	}
	if at := resp.Header.Get("Location"); at != "" {
		own := p.target.Scheme + "://" + p.target.Host
		if rest, ok := strings.CutPrefix(at, own); ok {
			to.Set("Location", p.URL+rest)
		}
	}
}

// halfRequest lets the server see half of the request's body.
func (p *FaultProxy) halfRequest(r *http.Request) {
	if r.ContentLength <= 0 {
		return
	}
	half := io.MultiReader(io.LimitReader(r.Body, r.ContentLength/2), broken{})
	if resp, err := p.forward(r, half); err == nil {
		resp.Body.Close()
	}
}

// broken is a body that cannot be read: the connection that carries it is cut.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// spoil lets the server do its work and spoils what goes there or comes back.
func (p *FaultProxy) spoil(w http.ResponseWriter, r *http.Request, f Fault, line int) {
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		p.note(line, 0, "the client: %v", err)
		reset(w)
		return
	}
	if f == FaultWrongRequest {
		sent = other(sent)
	}
	resp, body, err := p.whole(r, sent)
	if err == nil && f == FaultTwiceRequest {
		resp, body, err = p.whole(r, sent)
	}
	if err != nil {
		p.note(line, 0, "the server: %v", err)
		reset(w)
		return
	}
	if f == FaultWrongResponse {
		body = other(body)
	}
	p.note(line, f, "%d, %s", resp.StatusCode, f)
	if f == FaultLoseAnswer {
		reset(w)
		return
	}
	p.write(w, r, resp, body, f)
}

// whole sends a request and reads all of its answer.
func (p *FaultProxy) whole(r *http.Request, sent []byte) (*http.Response, []byte, error) {
	resp, err := p.forward(r, bytes.NewReader(sent))
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// write gives the client the answer by the connection itself.
func (p *FaultProxy) write(w http.ResponseWriter, r *http.Request, resp *http.Response, body []byte, f Fault) {
	head := http.Header{}
	p.headers(head, resp)
	length := fmt.Sprint(len(body))
	if r.Method == http.MethodHead {
		length = resp.Header.Get("Content-Length")
	}
	head.Del("Transfer-Encoding")
	if f == FaultWrongRequest || f == FaultWrongResponse || f == FaultTwiceRequest {
		head.Set("Connection", "close") // the end that follows is no fault of its own
	}
	if resp.StatusCode != http.StatusNoContent && resp.StatusCode != http.StatusNotModified && length != "" {
		head.Set("Content-Length", length)
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "HTTP/1.1 %d %s\r\n", resp.StatusCode, http.StatusText(resp.StatusCode))
	_ = head.Write(&text) // a bytes.Buffer takes all
	text.WriteString("\r\n")

	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	switch f {
	case FaultWrongRequest, FaultWrongResponse, FaultTwiceRequest:
		text.Write(body)
	case FaultTwiceResponse:
		text.Write(body)
		text.Write(bytes.Clone(text.Bytes()))
	default:
		text.Write(body[:len(body)/2])
	}
	_, _ = conn.Write(text.Bytes()) // the client may be gone
	switch f {
	case FaultResetResponse:
		hard(conn)
	case FaultStallResponse:
		p.hang(conn)
	}
}

// hang keeps a connection until the client closes it or the test ends.
func (p *FaultProxy) hang(conn net.Conn) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = conn.Read(make([]byte, 1)) // nothing is sent before the answer has ended
	}()
	select {
	case <-gone:
	case <-p.ended.Done():
	}
}

// reset ends a client's connection with a reset.
func reset(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	hard(conn)
}

// hard closes a connection without any farewell.
func hard(conn net.Conn) {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // an orderly end is what is left otherwise
	}
	_ = conn.Close()
}

// other gives as many bytes, each another one.
func other(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i] ^ 0x01
	}
	return out
}
