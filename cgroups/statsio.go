package cgroups

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/pod"
)

// readIO reads the traffic with block devices. A kernel without the
// controller, or with it switched off, counts none.
func (m *Manager) readIO(at string, s *pod.CgroupStats) error {
	var devices map[string]*pod.DeviceStats
	var err error
	if m.layout.mode == V2 {
		devices, err = readIOV2(filepath.Join(m.layout.unified, at))
	} else if mount, ok := m.layout.hierarchy(ctlBlockIO); ok {
		devices, err = readIOV1(filepath.Join(mount, at))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for number, d := range devices {
		d.Device = m.deviceName(number)
		s.IO = append(s.IO, *d)
	}
	slices.SortFunc(s.IO, func(a, b pod.DeviceStats) int { return strings.Compare(a.Device, b.Device) })
	return nil
}

// readIOV2 reads lines such as "8:0 rbytes=1 wbytes=2 rios=3 wios=4".
func readIOV2(dir string) (map[string]*pod.DeviceStats, error) {
	text, err := readFile(filepath.Join(dir, "io.stat"))
	if err != nil {
		return nil, err
	}
	devices := map[string]*pod.DeviceStats{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue // a device that was never used
		}
		d := &pod.DeviceStats{}
		for _, f := range fields[1:] {
			key, value, _ := strings.Cut(f, "=")
			n, _ := strconv.ParseInt(value, 10, 64) // other keys are not read
			switch key {
			case "rbytes":
				d.ReadBytes = n
			case "wbytes":
				d.WriteBytes = n
			case "rios":
				d.Reads = n
			case "wios":
				d.Writes = n
			}
		}
		devices[fields[0]] = d
	}
	return devices, nil
}

// readIOV1 reads lines such as "8:0 Read 1" of bytes and of operations.
func readIOV1(dir string) (map[string]*pod.DeviceStats, error) {
	devices := map[string]*pod.DeviceStats{}
	each := func(name string, take func(d *pod.DeviceStats, way string, n int64)) error {
		text, err := readFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) != 3 {
				continue // the sum of all
			}
			if devices[fields[0]] == nil {
				devices[fields[0]] = &pod.DeviceStats{}
			}
			n, _ := strconv.ParseInt(fields[2], 10, 64) // the kernel writes numbers
			take(devices[fields[0]], fields[1], n)
		}
		return nil
	}
	return devices, errors.Join(
		each("blkio.throttle.io_service_bytes_recursive", func(d *pod.DeviceStats, way string, n int64) {
			switch way {
			case "Read":
				d.ReadBytes = n
			case "Write":
				d.WriteBytes = n
			}
		}),
		each("blkio.throttle.io_serviced_recursive", func(d *pod.DeviceStats, way string, n int64) {
			switch way {
			case "Read":
				d.Reads = n
			case "Write":
				d.Writes = n
			}
		}))
}

// deviceName turns MAJOR:MINOR into /dev/NAME.
func (m *Manager) deviceName(number string) string {
	text, err := readFile(filepath.Join(m.cfg.BlockDevices, number, "uevent"))
	if err != nil {
		return number
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "DEVNAME="); ok {
			return "/dev/" + name
		}
	}
	return number
}

// readPressure reads how long tasks were held up. Only the v2 hierarchy
// counts that, a hybrid host's too; kernels may be built or started without.
func (m *Manager) readPressure(at string, s *pod.CgroupStats) error {
	if m.layout.unified == "" {
		return nil
	}
	dir := filepath.Join(m.layout.unified, at)
	var p pod.PressureStats
	for name, to := range map[string]*pod.StallStats{"cpu.pressure": &p.CPU, "memory.pressure": &p.Memory, "io.pressure": &p.IO} {
		text, err := readFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EOPNOTSUPP) {
			return nil
		}
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			kind, rest, _ := strings.Cut(line, " ")
			_, total, _ := strings.Cut(rest, "total=")
			n, _ := strconv.ParseInt(strings.TrimSpace(total), 10, 64) // the kernel writes numbers
			switch kind {
			case "some":
				to.Some = time.Duration(n) * time.Microsecond
			case "full":
				to.Full = time.Duration(n) * time.Microsecond
			}
		}
	}
	s.Pressure = &p
	return nil
}
