package servers

import (
	"bytes"
	"context"
	"crypto/md5" // the service's own checksum
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// grain is what the service keeps of an upload's bytes: multiples of it.
const grain = 256 << 10

// GCSSessions stands before a fake-gcs-server and does its upload sessions
// as the service's documentation tells: fake-gcs-server v1.56.1 appends what
// it gets wherever it belongs, and takes the question how much has arrived
// for the end of the upload. All else goes through.
// https://cloud.google.com/storage/docs/performing-resumable-uploads
type GCSSessions struct {
	*GCSServer

	mu       sync.Mutex
	sessions map[string]*gcsSession
	short    bool
	refused  int
}

type gcsSession struct {
	mu       sync.Mutex
	name     string
	metadata []byte
	query    string
	data     []byte
	done     []byte // the object, when it is made
	gone     bool
}

// GCSWithSessions starts both.
func GCSWithSessions(t TB) *GCSSessions {
	t.Helper()
	s := &GCSSessions{GCSServer: GCS(t), sessions: map[string]*gcsSession{}}
	target, err := url.Parse(s.GCSServer.Endpoint)
	if err != nil {
		t.Fatalf("%v", err)
	}
	through := httputil.NewSingleHostReverseProxy(target)
	through.ErrorLog = log.New(io.Discard, "", 0) // of connections that a test broke
	emulator := s.GCSServer.Endpoint
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case q.Has("upload_id"):
			s.serve(w, r, emulator, q.Get("upload_id"))
		case q.Get("uploadType") == "resumable":
			s.begin(w, r, emulator)
		default:
			through.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	s.GCSServer = &GCSServer{Endpoint: front.URL, Bucket: s.Bucket}
	return s
}

// KeepLess makes the service keep less than it was sent, at each request
// with more than a grain, which it may.
func (s *GCSSessions) KeepLess(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.short = yes
}

// Refused tells how many objects were not made because of their checksum.
func (s *GCSSessions) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// Open tells how many sessions have neither ended nor been cancelled.
func (s *GCSSessions) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, one := range s.sessions {
		one.mu.Lock()
		if one.done == nil && !one.gone {
			n++
		}
		one.mu.Unlock()
	}
	return n
}

func gcsFail(w http.ResponseWriter, status int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":{"code":%d,"message":%q,"errors":[{"reason":%q}]}}`, status, message, reason) // the client may be gone
}

// begin opens a session, unless the name is taken already.
func (s *GCSSessions) begin(w http.ResponseWriter, r *http.Request, emulator string) {
	metadata, err := io.ReadAll(r.Body)
	var m struct{ Name string }
	if err != nil || json.Unmarshal(metadata, &m) != nil || m.Name == "" {
		gcsFail(w, http.StatusBadRequest, "invalid", "no metadata")
		return
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/upload")
	there, err := http.Get(emulator + path + "/" + url.PathEscape(m.Name))
	if err != nil {
		gcsFail(w, http.StatusBadGateway, "backendError", "the emulator is gone")
		return
	}
	_ = there.Body.Close() // the status is all
	if there.StatusCode == http.StatusOK && r.URL.Query().Get("ifGenerationMatch") == "0" {
		gcsFail(w, http.StatusPreconditionFailed, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
		return
	}
	id := rand.Text()
	q := r.URL.Query()
	q.Set("uploadType", "multipart")
	s.mu.Lock()
	s.sessions[id] = &gcsSession{name: m.Name, metadata: metadata, query: r.URL.EscapedPath() + "?" + q.Encode()}
	s.mu.Unlock()
	w.Header().Set("Location", "http://elsewhere.example.com"+r.URL.EscapedPath()+"?uploadType=resumable&upload_id="+id)
}

// serve handles a piece, the question for the state, and the cancelling.
func (s *GCSSessions) serve(w http.ResponseWriter, r *http.Request, emulator, id string) {
	s.mu.Lock()
	one, short := s.sessions[id], s.short
	s.mu.Unlock()
	if one == nil {
		gcsFail(w, http.StatusNotFound, "notFound", "no such upload")
		return
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	switch {
	case one.gone:
		gcsFail(w, http.StatusGone, "gone", "the upload was cancelled")
		return
	case one.done != nil:
		_, _ = w.Write(one.done) // the client may be gone
		return
	case r.Method == http.MethodDelete:
		one.gone, one.data = true, nil
		w.WriteHeader(499)
		return
	}
	total, status := one.take(r, short)
	switch {
	case status != 0:
		gcsFail(w, status, "invalid", "the range cannot be taken")
	case total == int64(len(one.data)):
		s.finish(w, r, one, emulator)
	default:
		if len(one.data) > 0 {
			w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", len(one.data)-1))
		}
		w.WriteHeader(http.StatusPermanentRedirect)
	}
}

// take keeps what is new of a request's bytes. total is -1 when it was not
// told; a status other than 0 is an error.
func (one *gcsSession) take(r *http.Request, short bool) (total int64, status int) {
	what, all, ok := strings.Cut(strings.TrimPrefix(r.Header.Get("Content-Range"), "bytes "), "/")
	if !ok {
		return 0, http.StatusBadRequest
	}
	total = -1
	if all != "*" {
		n, err := strconv.ParseInt(all, 10, 64)
		if err != nil {
			return 0, http.StatusBadRequest
		}
		total = n
	}
	if what == "*" {
		return total, 0
	}
	var first, last int64
	if _, err := fmt.Sscanf(what, "%d-%d", &first, &last); err != nil || first > int64(len(one.data)) {
		return 0, http.StatusBadRequest
	}
	if total < 0 && (last+1-first)%grain != 0 {
		return 0, http.StatusBadRequest
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, last+1-first))
	have := int64(len(one.data))
	data = data[min(have-first, int64(len(data))):]
	whole := err == nil && have+int64(len(data)) == last+1
	if !whole || short && len(data) > grain {
		data = data[:len(data)/2/grain*grain]
	}
	one.data = append(one.data, data...)
	if !whole {
		panic(http.ErrAbortHandler) // the connection is broken: nobody hears an answer
	}
	return total, 0
}

// finish compares the checksum and makes the object, if the name is free.
func (s *GCSSessions) finish(w http.ResponseWriter, r *http.Request, one *gcsSession, emulator string) {
	crc := make([]byte, 4)
	sum := crc32.Checksum(one.data, crc32.MakeTable(crc32.Castagnoli))
	crc[0], crc[1], crc[2], crc[3] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
	all := md5.Sum(one.data)
	for _, told := range strings.Split(r.Header.Get("X-Goog-Hash"), ",") {
		kind, value, _ := strings.Cut(told, "=")
		if kind == "crc32c" && value != base64.StdEncoding.EncodeToString(crc) || kind == "md5" && value != base64.StdEncoding.EncodeToString(all[:]) {
			one.gone = true
			s.mu.Lock()
			s.refused++
			s.mu.Unlock()
			gcsFail(w, http.StatusBadRequest, "invalid", "Provided "+kind+" hash doesn't match calculated hash")
			return
		}
	}
	boundary := rand.Text()
	body := bytes.NewBufferString("--" + boundary + "\r\nContent-Type: application/json\r\n\r\n")
	for _, b := range [][]byte{one.metadata, []byte("\r\n--" + boundary + "\r\nContent-Type: application/octet-stream\r\n\r\n"), one.data, []byte("\r\n--" + boundary + "--\r\n")} {
		_, _ = body.Write(b) // never fails
	}
	q, err := http.NewRequestWithContext(context.Background(), http.MethodPost, emulator+one.query, body)
	if err != nil {
		panic(err) // it is made of what was understood before
	}
	q.Header.Set("Content-Type", "multipart/related; boundary="+boundary)
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		gcsFail(w, http.StatusBadGateway, "backendError", "the emulator is gone")
		return
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode == http.StatusOK {
		one.done, one.data = said, nil
	} else {
		one.gone, one.data = true, nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(said) // the client may be gone
}
