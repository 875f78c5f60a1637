package containerd

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// stopTime is how long an earlier containerd may take to end.
const stopTime = 10 * time.Second

// Exec makes the calling process containerd, for a unit of a service manager
// that supervises it. A containerd of the same configuration file that an
// earlier podstead left is ended first; containers go on. It returns only with
// an error: a podstead that supervises this containerd itself is one.
func Exec(ctx context.Context, cfg Config) error {
	s := NewServer(cfg)
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock() // the kernel does it when the program is replaced
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		return fmt.Errorf("take over from the containerd before: %w", err)
	}
	if err := s.rootFree(); err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	return s.exec()
}

// ExecAgain is Exec with the configuration file as it was written last.
func ExecAgain(cfg Config) error { return NewServer(cfg).exec() }

func (s *Server) exec() error {
	err := unix.Exec(s.cfg.Binary, []string{s.cfg.Binary, "--config", s.cfg.ConfigFile}, s.environ())
	return fmt.Errorf("start %q: %w", s.cfg.Binary, err)
}
