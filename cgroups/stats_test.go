package cgroups

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podstead/podstead/pod"
)

const captured = "/podstead/burstable/podaaaa"

// every number of these is in the captured trees, in each kernel's own words.
func wantStats(mode Mode) pod.CgroupStats {
	s := pod.CgroupStats{
		CPU: &pod.CPUStats{Total: 2500 * time.Millisecond, User: 2 * time.Second, System: 500 * time.Millisecond,
			Periods: 40, Throttled: 7, ThrottledTime: 120 * time.Millisecond},
		Memory: &pod.MemoryStats{Usage: 70 << 20, WorkingSet: 50 << 20, RSS: 40 << 20, Cache: 30 << 20, Swap: 1 << 20,
			Mapped: 5 << 20, Kernel: 256 << 10, Peak: 80 << 20, ActiveFile: 10 << 20, InactiveFile: 20 << 20, Dirty: 8192,
			PageFaults: 900, MajorFaults: 9, OwnPageFaults: 900, OwnMajorFaults: 9, OOMKills: 2, LimitHits: 12, HighEvents: 3,
			RefaultFile: 5, RefaultAnon: 4, PageScan: 77},
		PIDs: &pod.PIDStats{Current: 5, Max: 1024, LimitHits: 7},
		IO: []pod.DeviceStats{
			{Device: "/dev/vda", ReadBytes: 4096, WriteBytes: 8192, Reads: 1, Writes: 2},
			{Device: "7:3", ReadBytes: 10, WriteBytes: 20, Reads: 3, Writes: 4},
		},
		Pressure: &pod.PressureStats{
			CPU:    pod.StallStats{Some: 1500 * time.Millisecond, Full: 250 * time.Millisecond},
			Memory: pod.StallStats{Some: 2 * time.Millisecond, Full: time.Millisecond},
			IO:     pod.StallStats{Some: 40 * time.Microsecond, Full: 30 * time.Microsecond},
		},
	}
	if mode == V2 {
		return s
	}
	m := s.Memory
	m.OwnPageFaults, m.OwnMajorFaults = 800, 8
	m.Dirty, m.HighEvents, m.RefaultFile, m.RefaultAnon, m.PageScan = -1, -1, -1, -1, -1
	if mode == V1 {
		s.Pressure = nil
	}
	return s
}

// ofPodStats are those of a pod, which show less.
func ofPodStats(mode Mode) pod.CgroupStats {
	s := wantStats(mode)
	of := unmeasuredMemory()
	of.Usage, of.WorkingSet, of.RSS, of.Cache, of.Swap, of.InactiveFile, of.OOMKills =
		s.Memory.Usage, s.Memory.WorkingSet, s.Memory.RSS, s.Memory.Cache, s.Memory.Swap, s.Memory.InactiveFile, s.Memory.OOMKills
	s.Memory, s.IO = &of, nil
	s.CPU.User, s.CPU.System = pod.Unmeasured, pod.Unmeasured
	return s
}

// A reader that knows a tier finds its pods, also when the tier was made anew.
func TestReaderFindsPodsOfATierThatWasMadeAnew(t *testing.T) {
	dir := t.TempDir()
	r := newReader(512)
	defer r.leave()
	for _, want := range []string{"one", "two", "three"} {
		if err := os.RemoveAll(filepath.Join(dir, "podstead")); err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(dir, "podstead", burstableTier, podPrefix+"a", "id")
		if err := os.MkdirAll(at, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, "file"), []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := r.enter(dir, "/podstead/"+burstableTier+"/"+podPrefix+"a/id"); err != nil {
				t.Fatal(err)
			}
			if got, err := r.read("file"); string(got) != want || err != nil {
				t.Errorf("read %q, %v, want %q", got, err, want)
			}
			r.leave()
		}
		if err := r.enter(dir, "/podstead/"+burstableTier+"/"+podPrefix+"b"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a pod that is not there: %v", err)
		}
	}
}

func TestStatsOfCapturedTrees(t *testing.T) {
	for _, mode := range []Mode{V2, V1, Hybrid} {
		t.Run(string(mode), func(t *testing.T) {
			dir := tree(t, string(mode))
			m, err := New(Config{Mountpoint: dir, BlockDevices: filepath.Join(dir, "block")})
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Stats(t.Context(), captured)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wantStats(mode), got); diff != "" {
				t.Errorf("statistics (-want +got):\n%s", diff)
			}
			ofPod, err := m.PodStats(t.Context(), captured)
			if diff := cmp.Diff(ofPodStats(mode), ofPod); diff != "" || err != nil {
				t.Errorf("a pod's statistics: %v (-want +got):\n%s", err, diff)
			}
			usage, err := m.Usage(t.Context(), captured)
			if err != nil || usage.CPU.Total != got.CPU.Total || usage.Memory.WorkingSet != got.Memory.WorkingSet {
				t.Errorf("usage is %+v %+v, %v, want the time and the working set of the statistics", usage.CPU, usage.Memory, err)
			}
			if n, err := m.OOMKills(t.Context(), captured); n != 2 || err != nil {
				t.Errorf("OOMKills = %d, %v, want 2", n, err)
			}
			for _, outside := range []string{"/", "/podstead", "/podstead/../system.slice", "/system.slice", "podstead/x"} {
				if _, err := m.Stats(t.Context(), outside); err == nil {
					t.Errorf("statistics of %q, which is not ours, were read", outside)
				}
				if _, err := m.PodStats(t.Context(), outside); err == nil {
					t.Errorf("a pod's statistics of %q, which is not ours, were read", outside)
				}
				if _, err := m.Usage(t.Context(), outside); err == nil {
					t.Errorf("usage of %q, which is not ours, was read", outside)
				}
				if _, err := m.Processes(t.Context(), outside); err == nil {
					t.Errorf("processes of %q, which is not ours, were counted", outside)
				}
			}
		})
	}
}

// What a kernel leaves out is left out, not zero.
func TestStatsThatAKernelLeavesOut(t *testing.T) {
	dir := tree(t, "v2")
	at := filepath.Join(dir, captured)
	for _, name := range []string{"io.stat", "memory.peak", "memory.swap.current", "io.pressure"} {
		if err := os.Remove(filepath.Join(at, name)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := manager(t, dir, nil).Stats(t.Context(), captured)
	if err != nil {
		t.Fatal(err)
	}
	if got.IO != nil || got.Pressure != nil || got.Memory.Peak != pod.Unmeasured || got.Memory.Swap != pod.Unmeasured {
		t.Errorf("io %v, pressure %v, peak %d, swap %d, want none of them", got.IO, got.Pressure, got.Memory.Peak, got.Memory.Swap)
	}
}

// Files of the kernel are read to their end, however long.
func TestReadFileReadsAll(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, 2048, 100_000} {
		path := filepath.Join(t.TempDir(), "file")
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i)
		}
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readFile(path)
		if err != nil || !cmp.Equal(string(want), string(got)) {
			t.Errorf("%d bytes: read %d, %v", size, len(got), err)
		}
		r := newReader(512)
		if err := r.enter(filepath.Dir(path), ""); err != nil {
			t.Fatal(err)
		}
		got, err = r.read("file")
		if err != nil || !cmp.Equal(string(want), string(got)) {
			t.Errorf("%d bytes: the reader read %d, %v", size, len(got), err)
		}
		r.leave()
	}
}

func TestProcessesAreCounted(t *testing.T) {
	m := host(t)
	p := podOf(nil, container("a", nil, list("1", "64Mi")))
	if err := m.Prepare(t.Context(), "one", p); err != nil {
		t.Fatal(err)
	}
	at := m.Path("one", p) + "/id"
	runIn(t, m, at, "eat")
	got, err := m.Processes(t.Context(), at)
	if err != nil || got.Processes != 1 || got.FileDescriptors < 3 {
		t.Errorf("%+v, %v, want 1 process with stdin, stdout and stderr", got, err)
	}
}
