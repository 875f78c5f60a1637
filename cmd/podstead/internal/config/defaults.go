package config

import (
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/podstead/podstead/metrics"
	"github.com/podstead/podstead/network"
)

// presetter is a part of the configuration with defaults that must be there
// before the file is read, so that a zero which the file gives is seen as one.
type presetter interface{ preset() }

func (c *Configuration) preset() {
	c.PidsLimit = 1024
	c.Reserved.PIDs = 1000
	c.Metrics.Enabled = true
	c.Restart = Restart{Base: Duration(10 * time.Second), Max: Duration(5 * time.Minute), Reset: Duration(10 * time.Minute), PerSecond: 4, Burst: 20}
	c.Logs = Logs{MaxSize: 10 << 20, MaxFiles: 5}
	c.ImageGC = ImageGC{HighThresholdPercent: 85, LowThresholdPercent: belowHigh, MinimumAge: Duration(2 * time.Minute)}
	c.Parallelism = Parallelism{Starts: 8, Pulls: 3}
	c.Network.Masquerade = true
	c.Shutdown = Shutdown{Inhibitor: true, GracePeriod: Duration(time.Minute), GracePeriodCriticalPods: unset}
}

// unset is a time that the file does not give.
const unset = Duration(-1)

// belowHigh stands for a low threshold that the file leaves out.
const belowHigh = math.MinInt

func (d *Directory) preset() { d.Rescan = Duration(20 * time.Second) }

func (u *URL) preset() {
	u.Interval = Duration(20 * time.Second)
	u.MaxBytes = 10 << 20
}

// Defaults is the configuration of a file that says nothing.
func Defaults() *Configuration {
	c := &Configuration{APIVersion: APIVersion, Kind: Kind}
	c.preset()
	c.setDefaults(programs())
	return c
}

// setDefaults fills in the texts that the file leaves out. Folders of the runtime
// lie below the state and run folders, so that naming these two is enough to
// keep two podsteads apart.
func (c *Configuration) setDefaults(programs string) {
	if c.NodeName == "" {
		// A host without a name is reported by validation.
		c.NodeName, _ = os.Hostname()
	}
	fill(&c.StateDir, "/var/lib/podstead")
	fill(&c.RunDir, "/run/podstead")
	fill(&c.LogDir, "/var/log/pods")
	fill(&c.ContainerLogsDir, "/var/log/containers")
	fill(&c.Socket, filepath.Join(c.RunDir, "podstead.sock"))
	fill(&c.ImagesDir, filepath.Join(c.StateDir, "images"))
	fill(&c.CgroupRoot, "/podstead")
	fill(&c.OnExit, OnExitKeep)
	if c.Shutdown.GracePeriodCriticalPods == unset {
		c.Shutdown.GracePeriodCriticalPods = min(Duration(10*time.Second), max(c.Shutdown.GracePeriod, 0))
	}
	if c.ImageGC.LowThresholdPercent == belowHigh {
		c.ImageGC.LowThresholdPercent = max(0, c.ImageGC.HighThresholdPercent-5)
	}
	fill(&c.Metrics.Address, metrics.DefaultAddress)
	c.Runtime.setDefaults(c, programs)
	for i := range c.Sources {
		c.Sources[i].setDefaults()
	}
	if len(c.Network.PodCIDRs) == 0 {
		c.Network.PodCIDRs = network.DefaultPodCIDRs()
	}
	if len(c.Network.ServiceCIDRs) == 0 {
		c.Network.ServiceCIDRs = network.DefaultServiceCIDRs(c.Network.PodCIDRs)
	}
	fill(&c.Log.Level, "info")
	fill(&c.Log.Format, "auto")
}

func (r *Runtime) setDefaults(c *Configuration, programs string) {
	fill(&r.Mode, ModeOwn)
	fill(&r.Root, filepath.Join(c.StateDir, "containerd"))
	fill(&r.State, filepath.Join(c.RunDir, "containerd"))
	if r.Mode == ModeExternal {
		fill(&r.Address, "/run/containerd/containerd.sock")
	}
	fill(&r.Address, filepath.Join(r.State, "containerd.sock"))
	fill(&r.Namespace, "podstead")
	fill(&r.Containerd, filepath.Join(programs, "containerd"))
	fill(&r.Runc, "runc")
	fill(&r.Logger, filepath.Join(programs, "podstead-logger"))
	fill(&r.Pause, filepath.Join(programs, "podstead-pause"))
	fill(&r.Names, filepath.Join(programs, "podstead-names"))
	fill(&r.HostsDir, "/etc/containerd/certs.d")
}

// setDefaults: whoever writes into a directory is root already, whoever
// answers at a URL is not.
func (s *Source) setDefaults() {
	if s.Directory != nil {
		fill(&s.PodSecurity, "privileged")
	}
	if s.URL != nil {
		fill(&s.PodSecurity, "baseline")
	}
}

func fill(field *string, value string) {
	if *field == "" {
		*field = value
	}
}
