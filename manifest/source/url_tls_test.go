package source

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/podstead/podstead/pod"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, toPEM("CERTIFICATE", der)}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func toPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// issue signs a certificate for an address; from and to are relative to now.
func (a *authority) issue(t *testing.T, name, address string, from, to time.Duration) (cert, key string) {
	t.Helper()
	k := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to),
		IPAddresses: []net.IP{net.ParseIP(address)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return toPEM("CERTIFICATE", der), toPEM("EC PRIVATE KEY", keyDER)
}

func (a *authority) pair(t *testing.T, address string, from, to time.Duration) *tls.Certificate {
	t.Helper()
	cert, key := a.issue(t, "server", address, from, to)
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

// serveTLS serves with a certificate that can be exchanged, on connections
// that end with each answer.
func serveTLS(t *testing.T, h http.HandlerFunc, cert *atomic.Pointer[tls.Certificate], clients *x509.CertPool) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.SetKeepAlivesEnabled(false)
	server.Config.ErrorLog = discardLog()
	server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		config := &tls.Config{Certificates: []tls.Certificate{*cert.Load()}}
		if clients != nil {
			config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, clients
		}
		return config, nil
	}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func protect(t *testing.T, path, content string) {
	t.Helper()
	temporary := path + ".new"
	if err := os.WriteFile(temporary, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temporary, path); err != nil {
		t.Fatal(err)
	}
}

func TestUntrustedServersChangeNothing(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	protect(t, ca, ours.pem)
	good := ours.pair(t, "127.0.0.1", -time.Hour, time.Hour)
	for name, test := range map[string]struct {
		cert   *tls.Certificate
		reason string
	}{
		"unknown authority": {theirs.pair(t, "127.0.0.1", -time.Hour, time.Hour), ReasonTLS},
		"other host":        {ours.pair(t, "127.0.0.2", -time.Hour, time.Hour), ReasonTLS},
		"expired":           {ours.pair(t, "127.0.0.1", -2*time.Hour, -time.Hour), ReasonTLSTime},
		"not yet valid":     {ours.pair(t, "127.0.0.1", time.Hour, 2*time.Hour), ReasonTLSTime},
	} {
		t.Run(name, func(t *testing.T) {
			var cert atomic.Pointer[tls.Certificate]
			cert.Store(good)
			server := serveTLS(t, say(firstGood), &cert, nil)
			r, _ := runURL(t, poll(server.URL, func(c *URLConfig) {
				c.CA, c.HeaderTimeout, c.Timeout = ca, 5*time.Second, 5*time.Second
			}))
			r.untilPods(t, onePods)
			cert.Store(test.cert)
			s, _ := r.until(t, "error", func(s pod.SourceState) bool { return s.Error != "" })
			wantImages(t, s, onePods)
			if s.ErrorReason != test.reason {
				t.Errorf("class %q (%s), want %q", s.ErrorReason, s.Error, test.reason)
			}
			cert.Store(good)
			r.until(t, "recovery", func(s pod.SourceState) bool { return s.Error == "" })
		})
	}
}

func TestPlainHTTPIsNotFallenBackTo(t *testing.T) {
	server := serve(t, say(firstGood), false)
	r, _ := runURL(t, poll(strings.Replace(server.URL, "http://", "https://", 1)))
	s, _ := r.until(t, "error", func(s pod.SourceState) bool { return s.Error != "" })
	if s.ErrorReason != ReasonTLS || len(s.Pods) > 0 {
		t.Errorf("class %q (%s), pods %v; want tls and none", s.ErrorReason, s.Error, images(s))
	}
}

func TestHTTPSIsNotRedirectedToHTTP(t *testing.T) {
	plain := serve(t, say(firstGood), false)
	a := newAuthority(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	protect(t, ca, a.pem)
	var cert atomic.Pointer[tls.Certificate]
	cert.Store(a.pair(t, "127.0.0.1", -time.Hour, time.Hour))
	server := serveTLS(t, redirect(plain.URL), &cert, nil)
	r, _ := runURL(t, poll(server.URL, func(c *URLConfig) { c.CA, c.HeaderTimeout, c.Timeout = ca, 5*time.Second, 5*time.Second }))
	s, _ := r.until(t, "error", func(s pod.SourceState) bool { return s.Error != "" })
	if s.ErrorReason != ReasonRedirect || plain.polls.Load() > 0 {
		t.Errorf("class %q (%s), %d requests to the plain server; want redirect and none", s.ErrorReason, s.Error, plain.polls.Load())
	}
}

func TestClientCertificateAndAuthorityAreReloaded(t *testing.T) {
	ours, theirs, next := newAuthority(t), newAuthority(t), newAuthority(t)
	pool := x509.NewCertPool()
	pool.AddCert(ours.cert)
	var cert atomic.Pointer[tls.Certificate]
	cert.Store(ours.pair(t, "127.0.0.1", -time.Hour, time.Hour))
	server := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, doc(r.TLS.PeerCertificates[0].Subject.CommonName, "1"))
	}, &cert, pool)
	dir := t.TempDir()
	ca, certFile, keyFile := filepath.Join(dir, "ca"), filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	give := func(a *authority, name string) {
		c, k := a.issue(t, name, "127.0.0.1", -time.Hour, time.Hour)
		protect(t, keyFile, k)
		protect(t, certFile, c)
	}
	protect(t, ca, ours.pem)
	give(theirs, "mallory")
	r, _ := runURL(t, poll(server.URL, func(c *URLConfig) {
		c.CA, c.Cert, c.Key, c.HeaderTimeout, c.Timeout = ca, certFile, keyFile, 5*time.Second, 5*time.Second
		c.Guard.AllowEmpty = true
	}))
	s, _ := r.until(t, "refusal", func(s pod.SourceState) bool { return s.Error != "" })
	if s.ErrorReason != ReasonTLS {
		t.Errorf("class %q (%s), want tls", s.ErrorReason, s.Error)
	}
	give(ours, "first")
	r.untilPods(t, map[string]string{"first": "1"})
	give(ours, "second")
	r.untilPods(t, map[string]string{"second": "1"})
	cert.Store(next.pair(t, "127.0.0.1", -time.Hour, time.Hour))
	r.until(t, "distrust", func(s pod.SourceState) bool { return s.ErrorReason == ReasonTLS })
	protect(t, ca, next.pem)
	r.until(t, "trust", func(s pod.SourceState) bool { return s.Error == "" })
	write(t, keyFile, "")
	s, _ = r.until(t, "bad key", func(s pod.SourceState) bool { return s.ErrorReason == ReasonCredentials })
	wantImages(t, s, map[string]string{"second": "1"})
}

func TestHeadersComeFromAProtectedFile(t *testing.T) {
	const canary = "canary-7f3a"
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Token") == "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, doc("a", fmt.Sprint(len(r.Header.Get("X-Token")), len(r.Header["Metadata-Flavor"]))))
	}, false)
	headers := filepath.Join(t.TempDir(), "headers")
	protect(t, headers, "# secret\n\nX-Token: "+canary+"\nMetadata-Flavor: Google\n")
	r, _ := runURL(t, poll(server.URL, func(c *URLConfig) { c.HeadersFile = headers }))
	r.untilPods(t, map[string]string{"a": "11 1"})
	protect(t, headers, "x-token: "+canary+canary+"\n")
	r.untilPods(t, map[string]string{"a": "22 0"})

	for name, spoil := range map[string]func(){
		"no header":      func() { protect(t, headers, "X-Token: ok\n"+canary+"\n") },
		"bad name":       func() { protect(t, headers, canary+" x: 1\n") },
		"control byte":   func() { protect(t, headers, "X-Token: "+canary+"\x01\n") },
		"read by others": func() { chmod(t, headers, 0o644) },
		"foreign owner":  func() { chown(t, headers, 1234) },
		"gone":           func() { _ = os.Remove(headers) },
		"a directory":    func() { _ = os.Remove(headers); _ = os.Mkdir(headers, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.Remove(headers)
			protect(t, headers, "X-Token: "+canary+canary+"\nMetadata-Flavor: Google\n")
			r.until(t, "good headers", func(s pod.SourceState) bool { return s.Error == "" && images(s)["a"] == "22 1" })
			spoil()
			s, _ := r.until(t, "error", func(s pod.SourceState) bool { return s.Error != "" })
			if s.ErrorReason != ReasonCredentials || !strings.Contains(s.Error, headers) {
				t.Errorf("class %q (%s), want credentials and the file's name", s.ErrorReason, s.Error)
			}
		})
	}
	for _, s := range r.all() {
		if text, err := json.Marshal(s); err != nil || strings.Contains(string(text), canary) {
			t.Errorf("a secret is shown: %s (%v)", text, err)
		}
	}
}
