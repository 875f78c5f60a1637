package server

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// lookAgain is how often a file is looked at while it is used.
const lookAgain = 20 * time.Millisecond

// watched is a file that is read again when it has become another one. It is
// looked at by whoever needs it, so that nobody has to while nobody does.
type watched[T any] struct {
	path string
	read func(path string) (T, error)
	// failed is told of a file that can't be read; the last content stays.
	failed func(error)

	mu      sync.Mutex
	looked  time.Time
	info    os.FileInfo
	content T
	known   bool
	// told is what was told last of a file that can't be read.
	told string
}

// get returns the content, and whether there ever was any.
func (w *watched[T]) get() (T, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); now.Sub(w.looked) >= lookAgain {
		w.looked = now
		w.look()
	}
	return w.content, w.known
}

func (w *watched[T]) look() {
	info, err := os.Stat(w.path)
	if err != nil {
		w.tell(err)
		return
	}
	if w.info != nil && os.SameFile(info, w.info) && info.ModTime().Equal(w.info.ModTime()) && info.Size() == w.info.Size() {
		return
	}
	w.info = info
	content, err := w.read(w.path)
	if err != nil {
		w.tell(err)
		return
	}
	w.content, w.known, w.told = content, true, ""
}

// tell says once what is wrong.
func (w *watched[T]) tell(err error) {
	if text := err.Error(); text != w.told {
		w.told = text
		w.failed(err)
	}
}

// upstreams reads the host's resolv.conf: whom the host asks, without
// ourselves.
func upstreams(own []netip.Addr) func(path string) ([]string, error) {
	return func(path string) ([]string, error) {
		config, err := dns.ClientConfigFromFile(path)
		if err != nil {
			return nil, err
		}
		var servers []string
		for _, text := range config.Servers {
			ip, err := netip.ParseAddr(text)
			if err != nil || slices.Contains(own, ip.Unmap()) {
				continue
			}
			if server := net.JoinHostPort(text, config.Port); !slices.Contains(servers, server) {
				servers = append(servers, server)
			}
		}
		return servers, nil
	}
}
