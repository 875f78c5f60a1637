package source

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/internal/ownfile"
)

// credentialBytes bounds the files of certificates, keys and headers.
const credentialBytes = 1 << 20

// credentials are the files that requests need, read anew when they change.
type credentials struct {
	config    URLConfig
	transport *http.Transport
	header    http.Header
	read      map[string]signature
}

// current returns what the files hold now.
func (c *credentials) current() (*http.Transport, http.Header, error) {
	now := map[string]signature{}
	for _, path := range []string{c.config.CA, c.config.Cert, c.config.Key, c.config.HeadersFile} {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, nil, err
		}
		now[path] = signatureOf(info)
	}
	if c.transport != nil && sameSignatures(now, c.read) {
		return c.transport, c.header, nil
	}
	header, err := loadHeader(c.config.HeadersFile)
	if err != nil {
		return nil, nil, err
	}
	tlsConfig, err := loadTLS(c.config)
	if err != nil {
		return nil, nil, err
	}
	c.close()
	c.transport, c.header, c.read = newTransport(c.config, tlsConfig), header, now
	return c.transport, c.header, nil
}

func (c *credentials) close() {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}

func sameSignatures(a, b map[string]signature) bool {
	for path, s := range a {
		if b[path] != s {
			return false
		}
	}
	return len(a) == len(b)
}

// newTransport honours the proxy of podstead's environment, as people expect.
func newTransport(config URLConfig, tlsConfig *tls.Config) *http.Transport {
	dialer := &net.Dialer{Timeout: config.HeaderTimeout, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        tlsConfig,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           1,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

func loadTLS(config URLConfig) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if config.CA != "" {
		data, err := readCredential(config.CA, exclusive)
		if err != nil {
			return nil, err
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", config.CA)
		}
	}
	if config.Cert == "" {
		return out, nil
	}
	cert, err := readCredential(config.Cert, exclusive)
	if err != nil {
		return nil, err
	}
	key, err := readCredential(config.Key, secret)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s and key %s: %w", config.Cert, config.Key, err)
	}
	out.Certificates = []tls.Certificate{pair}
	return out, nil
}

// loadHeader reads lines "Name: value". Its errors never hold a line's text.
func loadHeader(path string) (http.Header, error) {
	if path == "" {
		return nil, nil
	}
	data, err := readCredential(path, secret)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	for number, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		if !found || !isToken(name) {
			return nil, fmt.Errorf("%s:%d: is no header (want NAME: VALUE)", path, number+1)
		}
		value = strings.TrimSpace(value)
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, fmt.Errorf("%s:%d: header %s: has control characters in its value (want none)", path, number+1, name)
		}
		header.Add(name, value)
	}
	return header, nil
}

// isToken tells names of headers, by RFC 9110 section 5.6.2.
func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// readCredential reads a file that check finds protected well enough, and
// that no other user can replace.
func readCredential(path string, check func(string, fs.FileInfo) error) ([]byte, error) {
	way, err := follow(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is %s (want a regular file)", path, ownfile.Describe(info.Mode()))
	}
	if err := errors.Join(way.untrusted, check(path, info)); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, credentialBytes+1))
	if err == nil && len(data) > credentialBytes {
		err = fmt.Errorf("%s has more than %d bytes (want at most that)", path, credentialBytes)
	}
	return data, err
}
