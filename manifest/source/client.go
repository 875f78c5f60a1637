package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// rateWindow is over what time the rate of an answer is measured; less when
// the whole answer has little time.
const rateWindow = 3 * time.Second

// maxRedirects within one origin.
const maxRedirects = 5

var (
	errSlowHeader = errors.New("no header of an answer in time")
	errSlowBody   = errors.New("the answer comes too slowly")
	errTotal      = errors.New("the answer did not end in time")
)

// client asks one URL. It is used by one goroutine at a time.
type client struct {
	config      URLConfig
	credentials *credentials
}

func newClient(config URLConfig) *client {
	return &client{config: config, credentials: &credentials{config: config}}
}

func (c *client) close() { c.credentials.close() }

// get asks for the manifests. It ends with ctx, and by itself after the
// configured time.
func (c *client) get(ctx context.Context, ask validators) (answer, *rejection) {
	transport, header, err := c.credentials.current()
	if err != nil {
		return answer{}, &rejection{ReasonCredentials, err}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	total := time.AfterFunc(c.config.Timeout, func() { cancel(errTotal) })
	defer total.Stop()
	first := time.AfterFunc(c.config.HeaderTimeout, func() { cancel(errSlowHeader) })
	defer first.Stop()
	request, err := c.request(ctx, header, ask)
	if err != nil {
		return answer{}, &rejection{ReasonCredentials, err}
	}
	response, err := (&http.Client{Transport: transport, CheckRedirect: sameOrigin}).Do(request)
	first.Stop()
	if err != nil {
		return answer{}, c.explain(ctx, err)
	}
	defer response.Body.Close()
	return c.read(ctx, cancel, response, ask)
}

func (c *client) request(ctx context.Context, header http.Header, ask validators) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.config.URL, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/yaml, application/json, text/plain;q=0.9, */*;q=0.1")
	request.Header.Set("User-Agent", "podstead")
	maps.Copy(request.Header, header)
	if host := header.Get("Host"); host != "" {
		request.Host = host
	}
	if ask.etag != "" {
		request.Header.Set("If-None-Match", ask.etag)
	}
	if ask.lastModified != "" {
		request.Header.Set("If-Modified-Since", ask.lastModified)
	}
	return request, nil
}

// sameOrigin follows redirects within the origin only: the origin is what the
// administrator trusts, and what the secret headers are meant for.
func sameOrigin(next *http.Request, via []*http.Request) error {
	from := via[0].URL
	if next.URL.Scheme != from.Scheme || next.URL.Host != from.Host {
		return &rejection{ReasonRedirect, fmt.Errorf("redirected to %s://%s (want the origin %s://%s; change the source's url if that is meant)",
			next.URL.Scheme, next.URL.Host, from.Scheme, from.Host)}
	}
	if len(via) > maxRedirects {
		return &rejection{ReasonRedirect, fmt.Errorf("redirected more than %d times", maxRedirects)}
	}
	return nil
}

func (c *client) read(ctx context.Context, cancel context.CancelCauseFunc, r *http.Response, ask validators) (answer, *rejection) {
	switch {
	case r.StatusCode == http.StatusNotModified && ask != (validators{}):
		return answer{unchanged: true}, nil
	case r.StatusCode == http.StatusNoContent:
		return answer{}, &rejection{ReasonEmpty, errors.New("status 204 No Content (want 200 and objects, or a List of them)")}
	case r.StatusCode != http.StatusOK:
		return answer{}, &rejection{ReasonStatus, fmt.Errorf("status %d %s (want 200 or 304)", r.StatusCode, http.StatusText(r.StatusCode))}
	case r.Header.Get("Content-Encoding") != "":
		return answer{}, &rejection{ReasonContentType, fmt.Errorf("content encoding %q (want gzip or none)", r.Header.Get("Content-Encoding"))}
	}
	body, rejected := c.body(ctx, cancel, r)
	if rejected != nil {
		return answer{}, rejected
	}
	if rejected := checkBody(r.Header.Get("Content-Type"), body); rejected != nil {
		return answer{}, rejected
	}
	if !delimited(r, body) {
		return answer{}, &rejection{ReasonNetwork, errors.New("the answer does not say where it ends, so it may be cut off (want a Content-Length, HTTPS or JSON)")}
	}
	return answer{body: body, validators: validators{r.Header.Get("ETag"), r.Header.Get("Last-Modified")}}, nil
}

// body reads an answer that is small enough and comes fast enough.
func (c *client) body(ctx context.Context, cancel context.CancelCauseFunc, r *http.Response) ([]byte, *rejection) {
	var received atomic.Int64
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		c.watchRate(&received, done, cancel)
	}()
	body, err := io.ReadAll(io.LimitReader(&counter{r.Body, &received}, c.config.MaxBytes+1))
	close(done)
	<-watched
	switch {
	case err != nil:
		return nil, c.explain(ctx, err)
	case int64(len(body)) > c.config.MaxBytes:
		return nil, &rejection{ReasonTooLarge, fmt.Errorf("the answer has more than %d bytes after decompression (want at most that)", c.config.MaxBytes)}
	}
	return body, nil
}

// watchRate cancels when too little was received during a window.
func (c *client) watchRate(received *atomic.Int64, done <-chan struct{}, cancel context.CancelCauseFunc) {
	window := min(rateWindow, c.config.Timeout/4)
	ticker := time.NewTicker(window)
	defer ticker.Stop()
	before := int64(0)
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
		}
		now := received.Load()
		if now-before < c.config.MinRate*int64(window)/int64(time.Second) {
			cancel(errSlowBody)
			return
		}
		before = now
	}
}

type counter struct {
	from  io.Reader
	count *atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.count.Add(int64(n))
	return n, err
}

// delimited tells whether a cut-off answer would have been noticed. Without
// TLS, a length, chunks or a checksum, only JSON says where it ends.
func delimited(r *http.Response, body []byte) bool {
	if r.TLS != nil || r.ProtoMajor > 1 || r.ContentLength >= 0 || r.Uncompressed || len(r.TransferEncoding) > 0 {
		return true
	}
	trimmed := strings.TrimSpace(string(body[:min(len(body), 512)]))
	return strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[")
}

// explain turns an error of a request into a class and a text without the
// URL, which is named already.
func (c *client) explain(ctx context.Context, err error) *rejection {
	if known, ok := errors.AsType[*rejection](err); ok {
		return known
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errSlowHeader):
		return &rejection{ReasonTimeout, fmt.Errorf("%w (want it within %v)", errSlowHeader, c.config.HeaderTimeout)}
	case errors.Is(cause, errSlowBody):
		return &rejection{ReasonTimeout, fmt.Errorf("%w (want %d bytes per second)", errSlowBody, c.config.MinRate)}
	case errors.Is(cause, errTotal):
		return &rejection{ReasonTimeout, fmt.Errorf("%w (want its end within %v)", errTotal, c.config.Timeout)}
	}
	return &rejection{classify(err), err}
}
