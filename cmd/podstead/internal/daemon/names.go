package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"go.uber.org/zap"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/network/names"
)

// namesPort is where the server of names listens. No user can take a port
// below 1024 while it is started.
const namesPort = 530

// namesDir is the folder of the server of names. It is beside the run folder,
// which root alone may enter, and the one that its unit names where that is the
// default.
func namesDir(cfg *config.Configuration) string { return cfg.RunDir + "-names" }

// namesConfig says how names are served.
func (d *daemon) namesConfig(cfg *config.Configuration) names.Config {
	c := names.Config{
		Dir: namesDir(cfg), Binary: cfg.Runtime.Names, Supervised: d.options.NamesUnit != "", Report: d.namesChanged,
		Ranges: slices.Concat(cfg.Network.PodCIDRs, cfg.Network.ServiceCIDRs),
	}
	for _, server := range network.NameServers(cfg.Network.ServiceCIDRs) {
		c.Listen = append(c.Listen, netip.AddrPortFrom(server, namesPort))
	}
	return c
}

// namesChanged tells how the server of names is.
func (d *daemon) namesChanged(s names.Status) {
	var down *string
	switch {
	case s.PID == 0 && s.Err != nil:
		down = new(fmt.Sprintf("pods can't look up names: %v", s.Err))
		d.agent.Warn("NamesFailed", *down)
	case s.Err != nil:
		d.agent.Warn("NamesFailed", s.Err.Error())
	default:
		d.log.Info("names are served", zap.Int("pid", s.PID), zap.Int("restarts", s.Restarts))
	}
	d.namesDown.Store(down)
	d.warn()
}

// removeNames ends the server of names and removes its folder.
func (d *daemon) removeNames(ctx context.Context) error {
	if err := d.names.Stop(ctx); err != nil {
		return fmt.Errorf("end the server of names: %w", err)
	}
	if err := os.RemoveAll(namesDir(d.config.running())); err != nil {
		return fmt.Errorf("remove the folder of names: %w", err)
	}
	return nil
}
