package source

import (
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/podstead/podstead/pod"
)

// served is a server whose behaviour can be changed.
type served struct {
	*httptest.Server
	handler atomic.Pointer[http.HandlerFunc]
	polls   atomic.Int64
}

func serve(t *testing.T, h http.HandlerFunc, tls bool) *served {
	t.Helper()
	s := &served{}
	s.set(h)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.polls.Add(1)
		(*s.handler.Load())(w, r)
	}))
	s.Config.ErrorLog = nil
	if tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func (s *served) set(h http.HandlerFunc) { s.handler.Store(&h) }

func say(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func typed(kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = io.WriteString(w, body)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// raw answers with bytes of its own on the connection, then closes it.
func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}
}

func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

// drip sends a byte now and then, until the client gives up.
func drip(w http.ResponseWriter, r *http.Request) {
	for i := 0; r.Context().Err() == nil; i++ {
		_, _ = io.WriteString(w, "#")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func silent(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func stalled(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, doc("a", "half"))
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

func bomb(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	chunk := []byte(strings.Repeat("# 0123456789\n", 1000))
	for range 100 { // 1.3 MB from some 3 kB
		if _, err := z.Write(chunk); err != nil {
			return
		}
	}
	_ = z.Close()
}

func halfGzip(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, docs(doc("a", "2"), doc("b", "2")))
	_ = z.Close()
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = io.WriteString(w, b.String()[:b.Len()-12])
}

func redirect(target string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusFound) }
}

// faults are the answers that must change nothing, with their class.
func faults() map[string]struct {
	handler http.HandlerFunc
	reason  string
} {
	half := docs(doc("a", "2"), doc("b", "2"))
	type fault = struct {
		handler http.HandlerFunc
		reason  string
	}
	return map[string]fault{
		"no bytes":               {say(""), ReasonEmpty},
		"blank":                  {say(" \n\n\t\n"), ReasonEmpty},
		"comment only":           {say("# nothing\n"), ReasonParse},
		"null":                   {say("null"), ReasonEmpty},
		"204":                    {status(204), ReasonEmpty},
		"304 unasked":            {status(304), ReasonStatus},
		"401":                    {status(401), ReasonStatus},
		"403":                    {status(403), ReasonStatus},
		"404":                    {status(404), ReasonStatus},
		"410":                    {status(410), ReasonStatus},
		"429":                    {status(429), ReasonStatus},
		"500":                    {status(500), ReasonStatus},
		"503":                    {status(503), ReasonStatus},
		"206 partial":            {status(206), ReasonStatus},
		"closed":                 {raw(""), ReasonNetwork},
		"reset":                  {reset, ReasonNetwork},
		"no HTTP":                {raw("SSH-2.0-OpenSSH_9.2\r\n"), ReasonNetwork},
		"huge header":            {raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n"), ReasonNetwork},
		"redirect to other host": {redirect("http://other.invalid/x"), ReasonRedirect},
		"redirect to https":      {func(w http.ResponseWriter, r *http.Request) { redirect("https://"+r.Host+"/")(w, r) }, ReasonRedirect},
		"redirect loop":          {redirect("/again"), ReasonRedirect},
		"silent":                 {silent, ReasonTimeout},
		"drip":                   {drip, ReasonTimeout},
		"stalled":                {stalled, ReasonTimeout},
		"too large":              {say(strings.Repeat("# 0123456789\n", 1000)), ReasonTooLarge},
		"gzip bomb":              {bomb, ReasonTooLarge},
		"half gzip":              {halfGzip, ReasonNetwork},
		"unknown encoding":       {func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Encoding", "br"); say("x")(w, r) }, ReasonContentType},
		"cut by length":          {raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(half)+100, half)), ReasonNetwork},
		"cut in a chunk":         {raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s", len(half)+100, half)), ReasonNetwork},
		"without an end":         {raw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" + doc("a", "2")), ReasonNetwork},
		"HTML page":              {typed("text/html", "<html>log in</html>"), ReasonContentType},
		"HTML as text":           {typed("text/plain", "\n <!doctype html><html>log in</html>"), ReasonContentType},
		"image":                  {typed("image/png", "x"), ReasonContentType},
		"garbage":                {say("{{{ %%"), ReasonParse},
		"text":                   {say("Service temporarily unavailable"), ReasonParse},
		"other kind":             {say("kind: Deployment\nmetadata: {name: a}\n"), ReasonParse},
		"empty list":             {say("kind: List\nitems: []\n"), ""}, // held, see guard
	}
}

func poll(url string, change ...func(*URLConfig)) URLConfig {
	config := URLConfig{
		Name: "fleet", URL: url, Interval: 5 * time.Millisecond, Parse: parse, MaxBytes: 8 << 10,
		HeaderTimeout: 20 * time.Second, Timeout: 30 * time.Second,
		Guard: GuardConfig{Confirm: time.Hour},
	}
	for _, c := range change {
		c(&config)
	}
	return config
}

// impatient shortens the deadlines where they are what is tested; elsewhere a
// busy machine must not look like a slow server.
func impatient(reason string) func(*URLConfig) {
	return func(c *URLConfig) {
		if reason == ReasonTimeout {
			c.HeaderTimeout, c.Timeout = 500*time.Millisecond, time.Second
		}
	}
}

func runURL(t *testing.T, config URLConfig) (*recorder, func()) {
	t.Helper()
	u, err := NewURL(config)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, u.Run)
}

var (
	firstGood  = docs(doc("a", "1"), doc("b", "1"))
	secondGood = docs(doc("a", "2"), doc("c", "2"), doc("b", "1"))
	onePods    = map[string]string{"a": "1", "b": "1"}
	twoPods    = map[string]string{"a": "2", "b": "1", "c": "2"}
)

func TestFaultyAnswersChangeNothing(t *testing.T) {
	for name, fault := range faults() {
		t.Run("cold without cache and during update/"+name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, fault.handler, false)
			r, _ := runURL(t, poll(server.URL, impatient(fault.reason)))
			s := untilPolledAgain(t, r, server, fault.reason)
			if fault.reason != "" && s.Synced {
				t.Error("a source that was never read counts as read")
			}
			wantImages(t, s, map[string]string{})
			server.set(say(firstGood))
			r.untilPods(t, onePods)
			server.set(fault.handler)
			wantImages(t, untilPolledAgain(t, r, server, fault.reason), onePods)
			server.set(say(secondGood))
			s, _ = r.untilPods(t, twoPods)
			if s.Error != "" {
				t.Errorf("error stays after a good answer: %q", s.Error)
			}
			for _, s := range r.all() {
				if len(s.Pods) < 2 && s.Synced && fault.reason != "" {
					t.Errorf("a pod left without an answer that omits it: %v", images(s))
				}
			}
		})
		t.Run("cold with cache/"+name, func(t *testing.T) {
			t.Parallel()
			store := cached(t, firstGood)
			server := serve(t, fault.handler, false)
			r, _ := runURL(t, poll(server.URL, impatient(fault.reason), func(c *URLConfig) { c.Store = store }))
			s := untilPolledAgain(t, r, server, fault.reason)
			wantImages(t, s, onePods)
			if !s.Synced {
				t.Error("a source with a last good copy counts as not read")
			}
		})
	}
}

// untilPolledAgain waits until a fault was answered with, and noticed.
func untilPolledAgain(t *testing.T, r *recorder, server *served, reason string) pod.SourceState {
	t.Helper()
	before := server.polls.Load()
	s, _ := r.until(t, "error of class "+reason, func(s pod.SourceState) bool {
		return s.ErrorReason == reason && (reason == "" || s.Error != "") && server.polls.Load() > before+2
	})
	return s
}

// cached returns a store that holds what a source called fleet said.
func cached(t *testing.T, body string) *Store {
	t.Helper()
	store := NewStore(t.TempDir())
	server := serve(t, say(body), false)
	r, stop := runURL(t, poll(server.URL, func(c *URLConfig) { c.Store = store }))
	r.until(t, "answer", func(s pod.SourceState) bool { return s.Synced })
	// What is published is written soon, not before.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := store.load("fleet"); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	stop()
	return store
}

func TestConnectionRefusedAndUnknownHost(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := "http://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for url, reason := range map[string]string{refused: ReasonNetwork, "http://nowhere.invalid/": ReasonDNS} {
		r, stop := runURL(t, poll(url, func(c *URLConfig) {
			c.HeaderTimeout, c.Timeout, c.Store = 5*time.Second, 5*time.Second, cached(t, firstGood)
		}))
		s, _ := r.until(t, "error", func(s pod.SourceState) bool { return s.Error != "" })
		wantImages(t, s, onePods)
		if s.ErrorReason != reason && (reason != ReasonDNS || s.ErrorReason != ReasonTimeout) {
			t.Errorf("%s: class %q (%s), want %q", url, s.ErrorReason, s.Error, reason)
		}
		if !strings.Contains(s.Error, url) || !strings.Contains(s.Error, "its 2 pods stay as they are") {
			t.Errorf("error names neither the URL nor what happens: %q", s.Error)
		}
		stop()
	}
}
