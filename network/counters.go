package network

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/prometheus/procfs"

	"github.com/podstead/podstead/pod"
)

// Counters reads the traffic of the interfaces that a process sees, but for
// its loopback, sorted by name.
func Counters(pid int) ([]pod.InterfaceStats, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return nil, fmt.Errorf("read the traffic of process %d: %w", pid, err)
	}
	devices, err := p.NetDev()
	if err != nil {
		return nil, fmt.Errorf("read the traffic of process %d: %w", pid, err)
	}
	var list []pod.InterfaceStats
	for _, d := range devices {
		if d.Name == "lo" {
			continue
		}
		list = append(list, pod.InterfaceStats{
			Name:     d.Name,
			Receive:  pod.TrafficStats{Bytes: int64(d.RxBytes), Packets: int64(d.RxPackets), Errors: int64(d.RxErrors), Dropped: int64(d.RxDropped)},
			Transmit: pod.TrafficStats{Bytes: int64(d.TxBytes), Packets: int64(d.TxPackets), Errors: int64(d.TxErrors), Dropped: int64(d.TxDropped)},
		})
	}
	slices.SortFunc(list, func(a, b pod.InterfaceStats) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}
