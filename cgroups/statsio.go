package cgroups

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/pod"
)

// readIO reads the traffic with block devices. A kernel without the
// controller, or with it switched off, counts none.
func (m *Manager) readIO(r *reader, at string, s *pod.CgroupStats) error {
	ok, err := m.enter(r, ctlBlockIO, at)
	if !ok {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	var devices traffic
	if m.layout.mode == V2 {
		err = devices.readV2(r)
	} else {
		err = devices.readV1(r)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, d := range devices {
		d.Device = m.deviceName(d.Device)
		s.IO = append(s.IO, d)
	}
	slices.SortFunc(s.IO, func(a, b pod.DeviceStats) int { return strings.Compare(a.Device, b.Device) })
	return nil
}

// traffic is what was read and written, by MAJOR:MINOR.
type traffic []pod.DeviceStats

func (t *traffic) of(number []byte) *pod.DeviceStats {
	for i := range *t {
		if (*t)[i].Device == string(number) {
			return &(*t)[i]
		}
	}
	*t = append(*t, pod.DeviceStats{Device: string(number)})
	return &(*t)[len(*t)-1]
}

// readV2 reads lines such as "8:0 rbytes=1 wbytes=2 rios=3 wios=4".
func (t *traffic) readV2(r *reader) error {
	text, err := r.read("io.stat")
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		number, rest, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if len(rest) == 0 {
			continue // a device that was never used
		}
		d := t.of(number)
		for field := range bytes.FieldsSeq(rest) {
			key, value, _ := bytes.Cut(field, []byte("="))
			n, _ := parse(string(value)) // other keys are not read
			switch string(key) {
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
	}
	return nil
}

// readV1 reads lines such as "8:0 Read 1" of bytes and of operations.
func (t *traffic) readV1(r *reader) error {
	each := func(name string, take func(d *pod.DeviceStats, way string, n int64)) error {
		text, err := r.read(name)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			number, rest, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
			way, value, whole := bytes.Cut(rest, []byte(" "))
			if !whole {
				continue // the sum of all
			}
			n, _ := parse(string(value)) // the kernel writes numbers
			take(t.of(number), string(way), n)
		}
		return nil
	}
	return errors.Join(
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
func (m *Manager) readPressure(r *reader, at string, s *pod.CgroupStats) error {
	if m.layout.unified == "" {
		return nil
	}
	if err := r.enter(m.layout.unified, at); err != nil {
		if m.layout.mode == Hybrid && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	var p pod.PressureStats
	for _, file := range []struct {
		name string
		to   *pod.StallStats
	}{{"cpu.pressure", &p.CPU}, {"memory.pressure", &p.Memory}, {"io.pressure", &p.IO}} {
		text, err := r.read(file.name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EOPNOTSUPP) {
			return nil
		}
		if err != nil {
			return err
		}
		readStalls(text, file.to)
	}
	s.Pressure = &p
	return nil
}

// readStalls reads lines such as "some avg10=0.00 avg60=0.00 avg300=0.00 total=1".
func readStalls(text []byte, to *pod.StallStats) {
	for line := range bytes.Lines(text) {
		kind, rest, _ := bytes.Cut(line, []byte(" "))
		_, total, _ := bytes.Cut(rest, []byte("total="))
		n, _ := parse(string(bytes.TrimSpace(total))) // the kernel writes numbers
		switch string(kind) {
		case "some":
			to.Some = time.Duration(n) * time.Microsecond
		case "full":
			to.Full = time.Duration(n) * time.Microsecond
		}
	}
}
