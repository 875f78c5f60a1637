package names

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/network/names/handover"
	"github.com/podstead/podstead/pod"
)

// program is the name of the server's program.
const program = "podstead-names"

// socketFile is where the server says that it is ready.
const socketFile = "notify.sock"

// Config says how pods' names are served.
type Config struct {
	// Dir is a folder for the server alone, which is made; everybody may read
	// it.
	Dir string
	// Binary is the program podstead-names.
	Binary string
	// Listen are the addresses at which it answers, by UDP and TCP.
	Listen []netip.AddrPort
	// Ranges are those of pods' and Services' addresses, whose reverse names
	// nobody else is asked for.
	Ranges []netip.Prefix
	// ResolvConf is the host's resolv.conf, whose servers are asked for all
	// other names; /etc/resolv.conf if empty.
	ResolvConf string
	// Supervised tells that a service manager runs the server: then Run does
	// nothing.
	Supervised bool
	// Report is called from Run's goroutine after each change; it may be nil.
	Report func(Status)
}

// Status is how the server is.
type Status struct {
	// PID of the running server, 0 while there is none.
	PID   int
	Since time.Time
	// Restarts counts how often it had to be started again.
	Restarts int
	// Err is why it does not run; nil while it does.
	Err error
}

// Keeper tells the server what names there are, and keeps it running.
type Keeper struct {
	cfg Config

	mu   sync.Mutex
	zone []byte
	// first is closed when there is something to serve.
	first chan struct{}
	told  bool
}

// New starts nothing.
func New(cfg Config) *Keeper {
	if cfg.Report == nil {
		cfg.Report = func(Status) {}
	}
	return &Keeper{cfg: cfg, first: make(chan struct{})}
}

// Set makes the server answer with a zone from then on: whoever asks 20 ms
// after it returned gets nothing older. Until the first Set, the zone of an
// earlier podstead stays. It is idempotent, and may be called at any time.
func (k *Keeper) Set(zone pod.Zone) error {
	servers := make([]netip.Addr, len(k.cfg.Listen))
	for i, at := range k.cfg.Listen {
		servers[i] = at.Addr()
	}
	text := records(zone, servers, k.cfg.Ranges)
	settings, err := json.Marshal(handover.Settings{Listen: k.cfg.Listen, ResolvConf: k.cfg.ResolvConf, Own: apexes(k.cfg.Ranges)})
	if err != nil {
		return fmt.Errorf("tell the server of names: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := os.MkdirAll(k.cfg.Dir, 0o755); err != nil {
		return fmt.Errorf("tell the server of names: %w", err)
	}
	// The zone comes first: who finds settings finds it too.
	for _, f := range []struct {
		name string
		text []byte
	}{{handover.ZoneFile, text}, {handover.SettingsFile, settings}} {
		path := filepath.Join(k.cfg.Dir, f.name)
		if now, err := os.ReadFile(path); err == nil && string(now) == string(f.text) {
			continue
		}
		if err := renameio.WriteFile(path, f.text, 0o644, renameio.WithTempDir(k.cfg.Dir)); err != nil {
			return fmt.Errorf("tell the server of names: %w", err)
		}
	}
	if !k.told {
		k.told = true
		close(k.first)
	}
	return nil
}

// Back-off between restarts of a server that dies: none the first time, then
// doubling. A life of stable or more starts it anew.
const (
	backoffBase = 100 * time.Millisecond
	backoffMax  = 10 * time.Second
	stable      = time.Minute
)

// Run finds the living server or starts one, replaces it when its program is
// another one by now, and starts it again whenever it has ended, until ctx
// ends; the server then goes on. It holds the server's sockets, so that what
// is asked while one server takes over from another is answered. It waits for
// the first Set. The server has no rights but to read its folder; as its ports
// are below 1024, nobody else can have taken them.
func (k *Keeper) Run(ctx context.Context) error {
	if k.cfg.Supervised {
		<-ctx.Done()
		return ctx.Err()
	}
	select {
	case <-k.first:
	case <-ctx.Done():
		return ctx.Err()
	}
	s, err := newSupervisor(k.cfg)
	if err != nil {
		return err
	}
	defer s.close()
	wait := time.Duration(0)
	for starts := 0; ; starts++ {
		begun := time.Now()
		err := s.life(ctx, starts)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(begun) >= stable {
			wait = 0
		}
		k.cfg.Report(Status{Restarts: starts, Since: time.Now(), Err: err})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = min(max(2*wait, backoffBase), backoffMax)
	}
}

// Stop ends the server, by force when ctx ends first. It is called after Run
// has returned, when nobody needs names any more.
func (k *Keeper) Stop(ctx context.Context) error {
	if k.cfg.Supervised {
		return nil
	}
	var errs []error
	for _, p := range find(k.cfg.Dir) {
		errs = append(errs, p.Signal(unix.SIGTERM))
		if p.Wait(ctx) != nil {
			errs = append(errs, p.Signal(unix.SIGKILL), p.Wait(context.WithoutCancel(ctx)))
		}
		p.Close()
	}
	return errors.Join(errs...)
}
