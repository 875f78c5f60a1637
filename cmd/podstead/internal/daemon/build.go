package daemon

import (
	"fmt"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cgroups"
	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/cmd/podstead/internal/state"
	"github.com/podstead/podstead/manifest"
	"github.com/podstead/podstead/manifest/source"
	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/network/names"
	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/probes"
	"github.com/podstead/podstead/runtime"
	"github.com/podstead/podstead/runtime/containerd"
	"github.com/podstead/podstead/runtime/sandbox"
	"github.com/podstead/podstead/systemd"
	"github.com/podstead/podstead/volumes"
)

// build makes everything and starts nothing.
func build(o Options, cfg *config.Configuration, log *logger) (*daemon, error) {
	d := &daemon{options: o, log: log, config: newSettings(o.ConfigFile, cfg)}
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	id, damage, err := state.NodeID(cfg.StateDir, machineIDFile)
	if err != nil {
		return nil, err
	}
	if damage != nil {
		log.Warn("the id of this node was made anew", zap.Error(damage))
	}
	server, err := node(cfg, id, boot)
	if err != nil {
		return nil, err
	}
	if err := d.buildRuntime(cfg, server); err != nil {
		return nil, err
	}
	d.archives = runtime.NewArchiveFolder(runtime.ArchiveFolderConfig{
		Dir: cfg.ImagesDir, Runtime: d.runtime, Report: d.imported,
	})
	if err := d.buildAgent(cfg, server); err != nil {
		return nil, err
	}
	d.sources = newSources(d.agent, source.NewStore(filepath.Join(cfg.StateDir, sourcesFolder)), log.Logger)
	d.buildMetrics(cfg)
	d.buildInhibitor()
	d.notifier = systemd.New(systemd.Config{Status: d.statusLine, Changed: d.agent.Changed, Alive: d.agent.Alive})
	return d, d.buildAPI(cfg)
}

func (d *daemon) buildRuntime(cfg *config.Configuration, server pod.Node) error {
	tasks, err := podTasks(cfg.Reserved.PIDs)
	if err != nil {
		return err
	}
	d.cgroups, err = cgroups.New(cgroups.Config{
		Root: cfg.CgroupRoot, Capacity: server.Capacity, MaxPIDs: cfg.PidsLimit,
		TotalMemory: totalMemory(server), TotalPIDs: tasks,
	})
	if err != nil {
		return fmt.Errorf("look at the cgroups: %w", err)
	}
	if err := refuseNewNode(cfg.RunDir, server.ID, d.cgroups.List); err != nil {
		return err
	}
	if err := d.refuseNewRuntime(cfg); err != nil {
		return err
	}
	r := cfg.Runtime
	if r.Mode == config.ModeOwn && d.options.ContainerdUnit == "" {
		c := ownContainerd(cfg)
		c.Report = d.containerdChanged
		d.containerd = containerd.NewServer(c)
	}
	d.disks = newDisks(cfg, d.containerd)
	pause, err := pauseRootfs(cfg)
	if err != nil {
		return err
	}
	host, err := hostFacts(d.cgroups.Capabilities().Mode == cgroups.V2, d.containerd != nil)
	if err != nil {
		return err
	}
	d.oomFloor = host.OOMScoreAdjMin
	d.runtime, err = runtime.New(runtime.Config{
		Address: r.Address, Namespace: r.Namespace, NodeID: server.ID, BootID: server.BootID, Now: now,
		RunDir: filepath.Join(cfg.RunDir, "runtime"), LogDir: cfg.LogDir, LinksDir: cfg.ContainerLogsDir,
		LoggerPath: r.Logger, LogMaxSize: int64(cfg.Logs.MaxSize), LogMaxFiles: cfg.Logs.MaxFiles,
		RuncBinary: r.Runc, RuncRoot: filepath.Join(cfg.RunDir, "runc"), PauseRootfs: pause,
		SeccompDir: filepath.Join(cfg.StateDir, seccompFolder), HostsDir: r.HostsDir, Host: host,
		MakeRoom: d.disks.makeRoom, Available: d.disks.available,
	})
	d.disks.runtime = d.runtime
	return err
}

func (d *daemon) buildAgent(cfg *config.Configuration, server pod.Node) error {
	if err := d.buildNetwork(cfg); err != nil {
		return err
	}
	boxes, err := sandbox.New(sandbox.Config{RunDir: cfg.RunDir, BootID: server.BootID, Now: now, NameServers: network.NameServers(cfg.Network.ServiceCIDRs)})
	if err != nil {
		return err
	}
	memory := server.Allocatable.Memory().Value()
	d.volumes, err = volumes.New(volumes.Config{Dir: filepath.Join(cfg.StateDir, volumesFolder), MemoryAllocatable: memory})
	if err != nil {
		return err
	}
	exec := commands{d.runtime}
	d.probes = probes.New(probes.Config{
		Exec: exec.probe, Now: now, Judge: func(v pod.ProbeVerdict) { d.agent.Judged(v) },
	})
	d.agent = agent.New(agent.Config{
		Settings: planSettings(cfg.Restart), Node: server,
		Runtime:    pod.RuntimeState{Mode: cfg.Runtime.Mode, Address: cfg.Runtime.Address},
		Containers: d.runtime, Images: images{d.runtime, d.archives.Scanned()}, Sandboxes: boxes, Network: d.network, Volumes: d.volumes, Cgroups: d.cgroups,
		Probes: d.probes, Hooks: hooks{exec}, Verdicts: state.NewVerdicts(filepath.Join(cfg.RunDir, verdictsFile)),
		Disks: d.disks, GoodImages: state.NewGoodImages(filepath.Join(cfg.StateDir, goodImagesFile)), Collect: imageSettings(cfg.ImageGC),
		Records: state.NewRecords(filepath.Join(cfg.StateDir, recordsFolder)),
		Logs:    podLogs{cfg.LogDir, cfg.ContainerLogsDir}, History: state.NewHistory(filepath.Join(cfg.StateDir, historyFile)),
		Services: state.NewServices(filepath.Join(cfg.StateDir, servicesFile)), Names: d.names,
		ServiceRanges: cfg.Network.ServiceCIDRs, NameServers: network.NameServers(cfg.Network.ServiceCIDRs),
		Now: now, Default: manifest.Default, Sources: sourceNames(cfg.Sources), Starts: cfg.Parallelism.Starts, Pulls: cfg.Parallelism.Pulls, Log: d.log.Logger,
	})
	return nil
}

func (d *daemon) buildNetwork(cfg *config.Configuration) error {
	d.warned = make(chan struct{}, 1)
	var err error
	d.network, err = network.New(network.Config{
		RunDir: cfg.RunDir, PodCIDRs: cfg.Network.PodCIDRs, ServiceCIDRs: cfg.Network.ServiceCIDRs, NamesPort: namesPort, NoMasquerade: !cfg.Network.Masquerade,
		AllowMetadata: cfg.Network.AllowMetadataService, LoopbackForwarder: cfg.Network.LoopbackForwarder,
		CgroupRoot: cfg.CgroupRoot, Report: d.networkChanged, Warned: d.warn,
	})
	d.names = names.New(d.namesConfig(cfg))
	return err
}

// networkChanged tells of what others did to the network.
func (d *daemon) networkChanged(e network.Event) {
	switch {
	case e.Message == "": // it is told again
	case e.UID != "":
		d.agent.WarnPod(e.UID, "NetworkChanged", e.Message)
	default:
		d.agent.Warn("NetworkChanged", e.Message)
	}
	if e.CutOff {
		d.agent.CutOff(e.UID)
	}
}

func sourceNames(list []config.Source) []string {
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Name
	}
	return names
}

func planSettings(r config.Restart) plan.Settings {
	s := plan.DefaultSettings()
	s.RestartBase, s.RestartMax, s.RestartReset = time.Duration(r.Base), time.Duration(r.Max), time.Duration(r.Reset)
	s.RestartRate, s.RestartBurst = float64(r.PerSecond), r.Burst
	return s
}

func imageSettings(c config.ImageGC) plan.ImageSettings {
	return plan.ImageSettings{
		High: c.HighThresholdPercent, Low: c.LowThresholdPercent,
		MinimumAge: time.Duration(c.MinimumAge), MaximumAge: time.Duration(c.MaximumAge), Pinned: c.Pinned,
	}
}

func (d *daemon) buildAPI(cfg *config.Configuration) error {
	group, err := cfg.GroupID()
	if err != nil {
		return fmt.Errorf("look up socketGroup: %w", err)
	}
	d.api = api.New(api.Config{
		Socket: cfg.Socket, GroupID: group, Version: d.options.Version, NodeInfo: nodeInfo(), Configuration: d.config.State, Reload: d.reload, Metrics: d.metricsStatus,
		Snapshots: d.agent, Control: control{d.agent, func() []config.Source { return d.config.running().Sources }}, Executor: executor{d.runtime}, PortForwarder: forwarder{d.network}, Stats: stats{d.cgroups}, NodeStats: nodeStats{"/proc"}, Probes: d.probes, Logs: logReader{},
	})
	return nil
}

// imported tells of image archives, and lets pods that wait for them start.
func (d *daemon) imported(r runtime.ArchiveResult) {
	if r.Err != nil {
		d.agent.Warn("ImportFailed", fmt.Sprintf("an image archive could not be imported: %v", r.Err))
		return
	}
	refs := make([]string, 0, len(r.Images))
	for _, i := range r.Images {
		refs = append(refs, i.Ref)
	}
	d.log.Info("images were imported", zap.String("archive", r.Path), zap.Strings("images", refs))
	d.agent.ImagesChanged()
}

func (d *daemon) containerdChanged(s containerd.Status) {
	switch {
	case s.Err != nil:
		d.log.Error("containerd does not run; containers go on, changes wait", zap.Error(s.Err), zap.Int("restarts", s.Restarts))
	case s.PID != 0:
		d.log.Info("containerd runs", zap.Int("pid", s.PID), zap.Int("restarts", s.Restarts))
	}
	if s.Warning != "" {
		d.log.Warn(s.Warning)
	}
}
