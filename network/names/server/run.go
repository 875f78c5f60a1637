package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/podstead/podstead/network/names/handover"
)

// Config says where the server finds its files.
type Config struct {
	// Dir is the folder with what package handover says.
	Dir string
	// Restore is a channel of requests to hand over the sockets again; nil for
	// none.
	Restore <-chan os.Signal
	// Warn is told what can't be read and what can't be told.
	Warn func(error)
}

// ErrSettings ends Run when the settings are others now.
var ErrSettings = errors.New("the settings have changed")

// Run answers until ctx ends; questions that are under way then are answered
// first. It waits for settings as long as there are none. Sockets are taken
// over from a former one, and handed to the supervisor for the next one, by
// the protocol of systemd (sd_listen_fds, FDSTORE): what nobody reads
// meanwhile is not lost.
func Run(ctx context.Context, cfg Config) error {
	settings, info, err := waitForSettings(ctx, cfg)
	if err != nil {
		return err
	}
	sockets, fresh, err := open(ctx, settings.Listen, handed())
	if err != nil {
		return err
	}
	defer sockets.close()
	if err := store(fresh); err != nil {
		cfg.Warn(err)
	}
	s := newServer(cfg, settings)
	group, ctx := errgroup.WithContext(ctx)
	var under sync.WaitGroup
	for _, c := range sockets.udp {
		group.Go(func() error { return s.serveUDP(ctx, c, &under) })
	}
	for _, l := range sockets.tcp {
		group.Go(func() error { return s.serveTCP(ctx, l, &under) })
	}
	group.Go(func() error { return attend(ctx, cfg, sockets, info) })
	if err := tell("READY=1\nSTATUS=answers pods"); err != nil {
		cfg.Warn(err)
	}
	err = group.Wait()
	under.Wait()
	return err
}

func newServer(cfg Config, settings *handover.Settings) *Server {
	var own []netip.Addr
	for _, at := range settings.Listen {
		own = append(own, at.Addr())
	}
	resolvConf := settings.ResolvConf
	if resolvConf == "" {
		resolvConf = "/etc/resolv.conf"
	}
	return &Server{
		own:     settings.Own,
		zone:    &watched[*zone]{path: filepath.Join(cfg.Dir, handover.ZoneFile), read: zoneReader(cfg.Warn), failed: cfg.Warn},
		forward: newForwarder(&watched[[]string]{path: resolvConf, read: upstreams(own), failed: cfg.Warn}),
	}
}

// zoneReader reads the zone and warns of what is left out of it, once as long
// as that is the same.
func zoneReader(warn func(error)) func(path string) (*zone, error) {
	told := ""
	return func(path string) (*zone, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		z, bad, err := parseZone(f)
		switch {
		case bad == nil:
			told = ""
		case bad.Error() != told:
			told = bad.Error()
			warn(bad)
		}
		return z, err
	}
}

// How often it is looked whether there are settings, and whether they are
// others.
const (
	waiting      = 100 * time.Millisecond
	settingsTime = 5 * time.Second
)

// waitForSettings reads the settings, or waits for them: podstead may come much
// later, and a server's boot is not to wait for that (`systemctl
// is-system-running --wait`), so then this one is ready to wait.
func waitForSettings(ctx context.Context, cfg Config) (*handover.Settings, os.FileInfo, error) {
	path := filepath.Join(cfg.Dir, handover.SettingsFile)
	for told := false; ; {
		text, err := os.ReadFile(path)
		if err == nil {
			var s handover.Settings
			info, statErr := os.Stat(path)
			if err := errors.Join(statErr, json.Unmarshal(text, &s)); err != nil {
				return nil, nil, fmt.Errorf("read %s: %w", path, err)
			}
			return &s, info, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		if !told {
			told = true
			if err := tell("READY=1\nSTATUS=waits for podstead to say what there is"); err != nil {
				cfg.Warn(err)
			}
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(waiting):
		}
	}
}

// attend hands the sockets over again when it is asked to, and ends when the
// settings are others, which it looks for then at once.
func attend(ctx context.Context, cfg Config, open *sockets, had os.FileInfo) error {
	ticker := time.NewTicker(settingsTime)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-cfg.Restore:
			if err := store(open.all()); err != nil {
				cfg.Warn(err)
			}
		case <-ticker.C:
		}
		if now, err := os.Stat(filepath.Join(cfg.Dir, handover.SettingsFile)); err == nil && !os.SameFile(now, had) {
			return ErrSettings
		}
	}
}
