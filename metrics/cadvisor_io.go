package metrics

import (
	"time"

	"github.com/podstead/podstead/pod"
)

func pressureFamilies() []family {
	var list []family
	for _, of := range []struct {
		name, what string
		get        func(p *pod.PressureStats) pod.StallStats
	}{
		{"cpu", "a processor", func(p *pod.PressureStats) pod.StallStats { return p.CPU }},
		{"memory", "memory", func(p *pod.PressureStats) pod.StallStats { return p.Memory }},
		{"io", "a block device", func(p *pod.PressureStats) pod.StallStats { return p.IO }},
	} {
		add := func(kind, who string, get func(pod.StallStats) time.Duration) {
			list = append(list, ofSubject("container_pressure_"+of.name+"_"+kind+"_seconds_total", counter,
				"Time that "+who+" waited for "+of.what+". Only where the kernel counts it.",
				func(s *subject, _ *view) (float64, bool) {
					if s.stats.Pressure == nil {
						return 0, false
					}
					return get(of.get(s.stats.Pressure)).Seconds(), true
				}))
		}
		add("waiting", "at least one task", func(s pod.StallStats) time.Duration { return s.Some })
		add("stalled", "all tasks", func(s pod.StallStats) time.Duration { return s.Full })
	}
	return list
}

func ioFamilies() []family {
	device := func(name, help string, get func(d pod.DeviceStats) int64) family {
		return family{name: name, kind: counter, help: help, labels: with("device"), optional: true, each: over(func(s *subject, _ *view, row emit) {
			for _, d := range s.stats.IO {
				row(float64(get(d)), s.labels, d.Device)
			}
		})}
	}
	return []family{
		device("container_fs_reads_bytes_total", "Bytes read from block devices; no row where a kernel with cgroup v1 counts none.", func(d pod.DeviceStats) int64 { return d.ReadBytes }),
		device("container_fs_writes_bytes_total", "Bytes written to block devices; no row where a kernel with cgroup v1 counts none.", func(d pod.DeviceStats) int64 { return d.WriteBytes }),
		device("container_fs_reads_total", "Reads from block devices; no row where a kernel with cgroup v1 counts none.", func(d pod.DeviceStats) int64 { return d.Reads }),
		device("container_fs_writes_total", "Writes to block devices; no row where a kernel with cgroup v1 counts none.", func(d pod.DeviceStats) int64 { return d.Writes }),
	}
}

// nodeLabels are those of a row about the whole server.
var nodeLabels = []string{"", "/", "", "", "", ""}

func diskFamilies() []family {
	filesystem := func(name, help string, get func(f pod.FilesystemStats) int64) family {
		return family{name: name, kind: gauge, help: help, labels: with("device"), each: func(v *view, row emit) {
			if v.disk != nil && v.disk.fsRead {
				row(float64(get(v.disk.filesystem)), nodeLabels, v.disk.filesystem.Device)
			}
		}}
	}
	usage := filesystem("container_fs_usage_bytes", "Disk space that is used: by a container's writable layer and logs, measured once a minute; with id=\"/\" of the whole file system.",
		func(f pod.FilesystemStats) int64 { return f.Size - f.Available })
	whole := usage.each
	usage.each = func(v *view, row emit) {
		whole(v, row)
		if v.disk == nil {
			return
		}
		for i := range v.subjects {
			s := &v.subjects[i]
			d, ok := v.disk.pods[s.pod.Pod.UID]
			if !ok || s.container == nil {
				continue
			}
			row(float64(d.Layers[s.container.Name]+d.Logs[s.container.Name]), s.labels, v.disk.filesystem.Device)
		}
	}
	return []family{
		usage,
		filesystem("container_fs_limit_bytes", "The size of the file system that containers write to.", func(f pod.FilesystemStats) int64 { return f.Size }),
		filesystem("container_fs_inodes_free", "Free inodes of the file system that containers write to.", func(f pod.FilesystemStats) int64 { return f.InodeFree }),
		filesystem("container_fs_inodes_total", "Inodes of the file system that containers write to.", func(f pod.FilesystemStats) int64 { return f.Inodes }),
	}
}

func networkFamilies() []family {
	var list []family
	for _, way := range []struct {
		name, verb string
		get        func(i pod.InterfaceStats) pod.TrafficStats
	}{
		{"receive", "received", func(i pod.InterfaceStats) pod.TrafficStats { return i.Receive }},
		{"transmit", "sent", func(i pod.InterfaceStats) pod.TrafficStats { return i.Transmit }},
	} {
		for _, of := range []struct {
			name, what string
			get        func(t pod.TrafficStats) int64
		}{
			{"bytes", "Bytes", func(t pod.TrafficStats) int64 { return t.Bytes }},
			{"packets", "Packets", func(t pod.TrafficStats) int64 { return t.Packets }},
			{"packets_dropped", "Packets dropped instead of being", func(t pod.TrafficStats) int64 { return t.Dropped }},
			{"errors", "Packets broken instead of being", func(t pod.TrafficStats) int64 { return t.Errors }},
		} {
			list = append(list, family{
				name: "container_network_" + way.name + "_" + of.name + "_total", kind: counter,
				help:   of.what + " " + way.verb + ", by interface of the pod. Pods on the host's network have none.",
				labels: with("interface"), optional: true,
				each: over(func(s *subject, _ *view, row emit) {
					for _, i := range s.network {
						row(float64(of.get(way.get(i))), s.labels, i.Name)
					}
				}),
			})
		}
	}
	return list
}
