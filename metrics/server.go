package metrics

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/net/netutil"
)

const (
	maxConnections = 128
	maxHeader      = 16 << 10
	headerTime     = 5 * time.Second
	writeTime      = 30 * time.Second
	idleTime       = 2 * time.Minute
	// retryTime is how long an address that can't be had is left alone.
	retryTime = 5 * time.Second
	// endTime is how long scrapes that run may go on at the end.
	endTime = 2 * time.Second
)

// New returns a server that does nothing until Run.
func New(cfg Config) *Server {
	if cfg.Address == "" {
		cfg.Address = DefaultAddress
	}
	if cfg.MaxSeries == 0 {
		cfg.MaxSeries = 50_000
	}
	s := &Server{
		cfg: cfg, drop: map[string]bool{}, process: prometheus.NewRegistry(),
		slots: make(chan struct{}, maxScrapes), series: map[string]int{},
		status: Status{Address: cfg.Address},
	}
	for _, label := range cfg.Drop {
		s.drop[label] = true
	}
	s.rows.New = func() any { return &rows{drop: s.drop} }
	s.sampler, s.meter = &sampler{cfg: &s.cfg}, newMeter(&s.cfg)
	s.usage = &sampler{cfg: &s.cfg, full: s.sampler}
	s.process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s
}

// Run serves until ctx ends. An address that is taken, and a file that can't
// be used, are told by Status and tried again: podstead goes on without.
func (s *Server) Run(ctx context.Context) error {
	var beside sync.WaitGroup
	defer s.sampler.wait()
	defer s.usage.wait()
	defer beside.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	beside.Go(func() { s.meter.run(ctx) })
	for {
		err := s.serve(ctx)
		if ctx.Err() != nil {
			return nil
		}
		s.setStatus(Status{Address: s.cfg.Address, Error: fmt.Sprintf("serve metrics at %s: %v; tried again every %s", s.cfg.Address, err, retryTime)})
		select {
		case <-time.After(retryTime):
		case <-ctx.Done():
			return nil
		}
	}
}

// serve listens and answers until ctx ends or it can't go on.
func (s *Server) serve(ctx context.Context) error {
	if err := s.checkWebConfig(); err != nil {
		return err
	}
	var listening net.ListenConfig
	l, err := listening.Listen(ctx, "tcp", s.cfg.Address)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader, ErrorLog: log.New(nobody{}, "", 0),
	}
	s.setStatus(Status{Address: l.Addr().String(), Serving: true})
	var ending sync.WaitGroup
	served, stop := context.WithCancel(ctx)
	defer ending.Wait()
	defer stop()
	ending.Go(func() {
		<-served.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
		defer cancel()
		if server.Shutdown(end) != nil {
			_ = server.Close() // whoever still reads has had the time
		}
	})
	systemd := false
	flags := web.FlagConfig{WebListenAddresses: &[]string{s.cfg.Address}, WebSystemdSocket: &systemd, WebConfigFile: &s.cfg.WebConfigFile}
	err = web.Serve(netutil.LimitListener(l, maxConnections), server, &flags, slog.New(slog.DiscardHandler))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return errors.Join(err, l.Close())
}

// checkWebConfig names the file, which the toolkit's errors don't.
func (s *Server) checkWebConfig() error {
	if s.cfg.WebConfigFile == "" {
		return nil
	}
	if err := web.Validate(s.cfg.WebConfigFile); err != nil {
		return fmt.Errorf("webConfigFile %s: %w", s.cfg.WebConfigFile, err)
	}
	return nil
}

// nobody takes what http.Server says of broken connections, which strangers
// could fill the log with.
type nobody struct{}

func (nobody) Write(text []byte) (int, error) { return len(text), nil }
