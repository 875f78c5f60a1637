package daemon

import (
	"go.uber.org/zap"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/metrics"
)

// buildMetrics makes the server of metrics, unless it is switched off.
func (d *daemon) buildMetrics(cfg *config.Configuration) {
	if !cfg.Metrics.Enabled {
		return
	}
	v := d.options.Version
	d.metrics = metrics.New(metrics.Config{
		Address: cfg.Metrics.Address, WebConfigFile: cfg.Metrics.WebConfigFile, Drop: cfg.Metrics.Drop,
		Snapshots: d.agent, Stats: statistics{stats{d.cgroups}, nodeStats{"/proc"}}, Limits: d.cgroups, Probes: d.probes,
		Disk: disk{cgroups: d.cgroups, runtime: d.runtime, volumes: d.volumes, dir: cfg.StateDir},
		Facts: metrics.Facts{
			Version: v.Version, Commit: v.Commit, Go: v.Go, Kernel: nodeInfo().KernelVersion, OS: v.Platform,
			Pressure: d.cgroups.Capabilities().Pressure,
		},
		Alive: d.agent.Alive, Report: d.metricsChanged,
	})
}

func (d *daemon) metricsChanged(s metrics.Status) {
	if s.Error != "" {
		d.log.Warn("metrics are not served; all else goes on", zap.String("error", s.Error))
		return
	}
	d.log.Info("metrics are served", zap.String("address", s.Address))
}

// metricsStatus is what status tells; nil when metrics are switched off.
func (d *daemon) metricsStatus() *api.Metrics {
	if d.metrics == nil {
		return nil
	}
	s := api.Metrics(d.metrics.Status())
	return &s
}
