package probes

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// What is sent as User-Agent, and how much is read of an answer, in bytes.
const (
	probeAgent = "kube-probe/1.36 (podstead)"
	hookAgent  = "kube-lifecycle/1.36 (podstead)"
	maxHeader  = 16 << 10
	maxBody    = 10 << 10
	// maxFraming is what may come on the wire beside and within a body.
	maxFraming   = 64 << 10
	maxRedirects = 10
)

// get is a GET request, made ready. It is written and read on a connection of
// its own rather than by http.Transport: so one attempt costs one goroutine,
// what is read is bounded by what is on the wire, closing the connection ends
// everything, and nothing is logged on a hostile server's behalf.
type get struct {
	url    *url.URL
	host   string // of the header Host; empty for the URL's
	header http.Header
	text   []byte // what is sent to url, once it was made
}

// answer is what a server said.
type answer struct {
	status    int
	header    http.Header
	body      []byte
	elsewhere string // where it redirected to, when that was not followed
}

func newGet(a *corev1.HTTPGetAction, spec *corev1.Container, host, agent string) (*get, error) {
	address, err := address(a.Host, a.Port, spec, host)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(a.Path)
	if err != nil { // Kubernetes takes any text for a path
		u = &url.URL{Path: a.Path}
	}
	u.Scheme, u.Host, u.User, u.Opaque = strings.ToLower(string(a.Scheme)), address, nil, ""
	if u.Scheme == "" {
		u.Scheme = "http"
	}
	if !strings.HasPrefix(u.Path, "/") {
		u.Path, u.RawPath = "/"+u.Path, ""
	}
	g := &get{url: u, header: http.Header{}}
	g.setHeaders(a.HTTPHeaders, agent)
	return g, nil
}

func (g *get) setHeaders(headers []corev1.HTTPHeader, agent string) {
	for _, h := range headers {
		if http.CanonicalHeaderKey(h.Name) == "Host" {
			g.host = h.Value
			continue
		}
		g.header.Add(h.Name, h.Value)
	}
	for name, value := range map[string]string{"User-Agent": agent, "Accept": "*/*"} {
		if _, set := g.header[name]; !set {
			g.header.Set(name, value)
		}
	}
	if g.header.Get("Accept") == "" { // an empty one asks for none
		g.header.Del("Accept")
	}
}

func (g *get) String() string { return "HTTP GET " + g.url.String() }

// do asks, and follows redirects within the server that was asked. A redirect
// to any other is not followed: a container must not choose what podstead,
// which reaches more than the container does, asks next.
func (g *get) do(ctx context.Context) (*answer, error) {
	u := g.url
	for range maxRedirects + 1 {
		a, err := g.once(ctx, u)
		if err != nil {
			return nil, err
		}
		to, err := a.redirect(u)
		if err != nil || to == nil {
			return a, err
		}
		if to.Scheme != u.Scheme || dialAddress(to) != dialAddress(u) {
			a.elsewhere = to.String()
			return a, nil
		}
		u = to
	}
	return nil, fmt.Errorf("stopped after %d redirects", maxRedirects)
}

// redirect returns where an answer leads, nil when it stands for itself.
func (a *answer) redirect(from *url.URL) (*url.URL, error) {
	switch a.status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	location := a.header.Get("Location")
	if location == "" {
		return nil, nil
	}
	to, err := from.Parse(location)
	if err != nil {
		return nil, fmt.Errorf("status %d with a Location that is no URL%s", a.status, snippet([]byte(location)))
	}
	return to, nil
}

func dialAddress(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// once makes one request on one connection.
func (g *get) once(ctx context.Context, u *url.URL) (*answer, error) {
	raw, err := dial(ctx, dialAddress(u))
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	conn := raw
	if u.Scheme == "https" {
		// Containers have certificates of their own making, for names that no
		// probe uses; Kubernetes does not verify them either.
		secure := tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // see above
		if err := secure.Handshake(); err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		conn = secure
	}
	text, err := g.request(u)
	if err != nil {
		return nil, err
	}
	// A server may answer without having read all that was written.
	_, unwritten := conn.Write(text)
	a, err := read(conn)
	if err != nil && unwritten != nil {
		return nil, unwritten
	}
	return a, err
}

// request is what is sent; that to the URL of the probe is made once.
func (g *get) request(u *url.URL) ([]byte, error) {
	if u == g.url && g.text != nil {
		return g.text, nil
	}
	request := &http.Request{
		Method: http.MethodGet, URL: u, Host: g.host, Header: g.header, Close: true,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	var text bytes.Buffer
	if err := request.Write(&text); err != nil {
		return nil, err
	}
	if u == g.url {
		g.text = text.Bytes()
	}
	return text.Bytes(), nil
}

// usualAnswer is more than most endpoints answer, in bytes.
const usualAnswer = 1 << 10

// read reads an answer, the informational ones before it left out.
func read(conn io.Reader) (*answer, error) {
	limited := &io.LimitedReader{R: conn, N: maxHeader}
	buffered := bufio.NewReaderSize(limited, usualAnswer)
	for {
		response, err := http.ReadResponse(buffered, nil) // nil stands for GET
		switch {
		case err != nil && limited.N <= 0:
			return nil, fmt.Errorf("the headers of the answer are larger than %d bytes", maxHeader)
		case err != nil && limited.N == maxHeader && errors.Is(err, io.ErrUnexpectedEOF):
			return nil, io.EOF // not a byte came
		case err != nil:
			return nil, err
		}
		if response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		limited.N = maxFraming
		body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
		if err != nil && limited.N > 0 {
			return nil, err
		}
		return &answer{status: response.StatusCode, header: response.Header, body: body}, nil
	}
}

func httpTrial(a *corev1.HTTPGetAction, t *pod.ProbeTarget) trial {
	g, err := newGet(a, t.Spec, t.Host, probeAgent)
	if err != nil {
		return failing("HTTP GET", err)
	}
	return trial{what: g.String(), try: func(ctx context.Context) (string, error) {
		a, err := g.do(ctx)
		switch {
		case err != nil:
			return "", err
		case a.status < 200 || a.status > 399:
			return "", fmt.Errorf("status %d, want 200 to 399%s", a.status, snippet(a.body))
		default:
			return a.inWords(), nil
		}
	}}
}

func (a *answer) inWords() string {
	said := fmt.Sprintf("status %d", a.status)
	if a.elsewhere != "" {
		said += ", a redirect to another server that was not followed" + snippet([]byte(a.elsewhere))
	}
	return said
}

// HTTPGet makes the request of a hook until ctx ends, at the pod's host unless
// the action names one, and says in at most 1 KiB what came of it. As in
// Kubernetes every answer counts as success, whatever its status; a server
// that answers HTTPS in plain HTTP is asked again that way, without the header
// Authorization. Time, size and redirects are bounded as for probes. Errors
// name the request.
func HTTPGet(ctx context.Context, action *corev1.HTTPGetAction, spec *corev1.Container, host string) (message string, err error) {
	g, err := newGet(action, spec, host, hookAgent)
	if err != nil {
		return "", fmt.Errorf("HTTP GET: %w", err)
	}
	a, err := g.do(ctx)
	var notTLS tls.RecordHeaderError
	if errors.As(err, &notTLS) && string(notTLS.RecordHeader[:]) == "HTTP/" {
		g.url.Scheme, g.text = "http", nil
		g.header.Del("Authorization")
		a, err = g.do(ctx)
	}
	switch {
	case err == nil:
		return clean(g.String() + ": " + a.inWords()), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s: no answer: %w", clean(g.String()), context.Cause(ctx))
	default:
		return "", errors.New(clean(g.String() + ": " + inWords(err)))
	}
}
