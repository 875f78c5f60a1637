package source

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/podstead/podstead/pod"
)

func TestGoodAnswers(t *testing.T) {
	zipped := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, firstGood)
		_ = z.Close()
	}
	list := `{"kind":"List","items":[{"kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"image":"1"}]}},` +
		`{"kind":"Pod","metadata":{"name":"b"},"spec":{"containers":[{"image":"1"}]}}]}`
	moved := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/moved" {
			http.Redirect(w, r, "/moved", http.StatusMovedPermanently)
			return
		}
		say(firstGood)(w, r)
	}
	for name, handler := range map[string]http.HandlerFunc{
		"plain": say(firstGood), "yaml": typed("application/yaml; charset=utf-8", firstGood),
		"octets": typed("application/octet-stream", firstGood), "gzip": zipped,
		"JSON without an end":        raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + list),
		"redirect within the origin": moved,
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := runURL(t, poll(serve(t, handler, false).URL))
			r.untilPods(t, onePods)
		})
	}
}

func TestUnchangedAnswersAreNotSentAgain(t *testing.T) {
	var mu sync.Mutex
	body, full := firstGood, 0
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		tag := fmt.Sprintf(`"%d"`, len(body))
		w.Header().Set("ETag", tag)
		w.Header().Set("Last-Modified", "Wed, 21 Oct 2026 07:28:00 GMT")
		if r.Header.Get("If-None-Match") == tag && r.Header.Get("If-Modified-Since") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		full++
		_, _ = io.WriteString(w, body)
	}, false)
	r, _ := runURL(t, poll(server.URL))
	first, _ := r.untilPods(t, onePods)
	for server.polls.Load() < 10 {
		time.Sleep(time.Millisecond)
	}
	s, _ := r.until(t, "newer success", func(s pod.SourceState) bool { return s.LastSuccess.After(first.LastSuccess) })
	wantImages(t, s, onePods)
	mu.Lock()
	if full != 1 {
		t.Errorf("the whole answer was sent %d times, want once", full)
	}
	body = secondGood
	mu.Unlock()
	r.untilPods(t, twoPods)
}

func TestOneBadPodKeepsItselfOnly(t *testing.T) {
	server := serve(t, say(firstGood), false)
	r, _ := runURL(t, poll(server.URL))
	r.untilPods(t, onePods)
	server.set(say(docs(doc("a", "BAD"), doc("b", "2"), doc("n", "BAD"))))
	s, _ := r.untilPods(t, map[string]string{"a": "1", "b": "2"})
	if !hasProblem(s, pod.ReasonInvalidImage, "pod default/a keeps running as before") ||
		!hasProblem(s, pod.ReasonInvalidImage, "nothing runs for it") || s.Error != "" {
		t.Errorf("problems %v, error %q", s.Problems, s.Error)
	}
	server.set(say(docs(doc("a", "3"), doc("b", "2"), doc("a", "4"))))
	s, _ = r.until(t, "conflict", func(s pod.SourceState) bool { return hasProblem(s, pod.ReasonConflict, "pod default/a keeps running") })
	wantImages(t, s, map[string]string{"a": "1", "b": "2"})
	if got := s.Problems[0].Got; !strings.Contains(got, "#item[0]") || !strings.Contains(got, "#item[2]") {
		t.Errorf("conflict names %q, want both positions", got)
	}
}

func TestAlternatingAnswersAreWarnedOf(t *testing.T) {
	server := serve(t, say(firstGood), false)
	r, _ := runURL(t, poll(server.URL))
	r.untilPods(t, onePods)
	server.set(say(secondGood))
	s, _ := r.untilPods(t, twoPods)
	if len(s.Problems) > 0 {
		t.Errorf("a plain update is warned of: %v", s.Problems)
	}
	server.set(say(docs(doc("b", "1"), doc("a", "1"), doc("c", "2"))))
	r.untilPods(t, map[string]string{"a": "1", "b": "1", "c": "2"})
	server.set(say(secondGood))
	r.until(t, "warning", func(s pod.SourceState) bool { return hasProblem(s, pod.ReasonConflict, "each answer is used") })
	r.until(t, "end of the warning", func(s pod.SourceState) bool { return len(s.Problems) == 0 })
}

func TestBadURLsAreRefused(t *testing.T) {
	for _, url := range []string{"", "ftp://x/", "https:///x", "http://user:geheim@x/", "%zz", "/etc/x"} {
		_, err := NewURL(URLConfig{Name: "fleet", URL: url})
		if err == nil || !strings.Contains(err.Error(), "fleet") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("NewURL(%q) = %v, want an error that names the source and no secret", url, err)
		}
	}
	if _, err := NewURL(URLConfig{Name: "fleet", URL: "https://x/", Cert: filepath.Join("a", "b")}); err == nil {
		t.Error("a certificate without key was accepted")
	}
}

func TestDeadlinesOfAnAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		change  func(*URLConfig)
		want    string
	}{
		"header": {silent, func(c *URLConfig) { c.HeaderTimeout = 100 * time.Millisecond }, "no header of an answer in time (want it within 100ms)"},
		"rate":   {drip, func(c *URLConfig) { c.Timeout = 2 * time.Second }, "comes too slowly (want 1000 bytes per second)"},
		"total":  {drip, func(c *URLConfig) { c.MinRate, c.Timeout = 1, 400*time.Millisecond }, "did not end in time (want its end within 400ms)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := runURL(t, poll(serve(t, test.handler, false).URL, test.change))
			s, _ := r.until(t, "error", func(s pod.SourceState) bool { return s.Error != "" })
			if s.ErrorReason != ReasonTimeout || !strings.Contains(s.Error, test.want) {
				t.Errorf("class %q, error %q; want timeout and %q", s.ErrorReason, s.Error, test.want)
			}
		})
	}
}

func TestFailuresArePolledLessOften(t *testing.T) {
	r := &urlRun{config: URLConfig{Interval: 10 * time.Second}}
	for failures, want := range []int{10, 20, 40, 80, 100, 100, 100} {
		r.failures = failures
		for range 100 {
			low, high := time.Duration(want)*900*time.Millisecond, time.Duration(want)*1100*time.Millisecond
			if got := r.pause(); got < low || got > high {
				t.Fatalf("after %d failures the pause is %v, want %v to %v", failures, got, low, high)
			}
		}
	}
}
