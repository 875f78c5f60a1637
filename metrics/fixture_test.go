package metrics

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// fixed is a snapshot that never changes.
type fixed struct{ snap *pod.Snapshot }

func (f fixed) Latest() *pod.Snapshot { return f.snap }

// born is when everything in the fixtures was started: an hour before the time
// at which synctest begins.
var born = time.Date(1999, 12, 31, 23, 0, 0, 0, time.UTC)

func at(after time.Duration) metav1.Time { return metav1.NewTime(born.Add(after)) }

func list(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

// view makes a pod with the containers, all limited.
func podView(namespace, name string, number int, containers ...string) pod.View {
	i := pod.Instance{Key: pod.Key{Namespace: namespace, Name: name}, Number: number}
	uid := pod.UID("node", i)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: uid, CreationTimestamp: at(0)}}
	p.Spec.RestartPolicy, p.Spec.NodeName = corev1.RestartPolicyAlways, "edge"
	start := at(time.Second)
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, QOSClass: corev1.PodQOSBurstable, HostIP: "192.0.2.1", PodIP: "10.1.0.2", StartTime: &start,
		PodIPs:     []corev1.PodIP{{IP: "10.1.0.2"}, {IP: "fd00::2"}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}, {Type: corev1.PodScheduled, Status: corev1.ConditionTrue}}}
	v := pod.View{Pod: p, Instance: i}
	for n, c := range containers {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: c, Image: c + ":1",
			Resources: corev1.ResourceRequirements{Requests: list("100m", "64Mi"), Limits: list("500m", "128Mi")}})
		id := pod.ContainerID(uid, c, 0)
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c, Image: "docker.io/library/" + c + ":1", ImageID: "docker.io/library/" + c + ":1@sha256:abc", ContainerID: "containerd://" + id, Ready: true,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at(2 * time.Second)}}})
		v.Containers = append(v.Containers, pod.ContainerView{Name: c, ID: id, Role: pod.RoleApp, PID: 100 + n, CgroupPath: "/podstead/burstable/pod" + string(uid) + "/" + id})
	}
	return v
}

// crashing is a pod that waits for its next run after the kernel killed it.
func crashing() pod.View {
	v := podView("shop", "db", 3, "db")
	v.Pod.Spec.InitContainers = []corev1.Container{{Name: "setup", Image: "setup:1"}}
	v.Pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "setup", Ready: true, Image: "setup:1",
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: at(1 * time.Second), FinishedAt: at(2 * time.Second)}}}}
	st := &v.Pod.Status.ContainerStatuses[0]
	st.Ready, st.RestartCount = false, 4
	st.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	st.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137, FinishedAt: at(50 * time.Minute)}}
	v.Pod.Status.Conditions[0].Status = corev1.ConditionFalse
	v.Containers[0].PID, v.Containers[0].OOMKills = 0, 4
	v.Containers[0].NextStart = born.Add(time.Hour)
	v.Containers[0].Logger = "its logger died"
	return v
}

// leaving is a pod that should have been gone for long, on the host's network.
func leaving() pod.View {
	v := podView("default", "old", 1, "app")
	when, grace := at(30*time.Minute), int64(30)
	v.Pod.DeletionTimestamp, v.Pod.DeletionGracePeriodSeconds = &when, &grace
	v.Pod.Spec.HostNetwork, v.Pod.Status.Reason = true, "DeadlineExceeded"
	v.Pod.Status.Phase = corev1.PodFailed
	v.Problems = []pod.Problem{{Severity: pod.Error, Reason: pod.ReasonSyntax}}
	return v
}

func snapshot() *pod.Snapshot {
	web := podView("default", "web", 1, "nginx", "helper")
	web.Containers[0].OOMKills = 2
	web.Pod.OwnerReferences = owned("ReplicaSet", "web-54c9")
	web.Containers = append(web.Containers, pod.ContainerView{Name: pod.PauseName, ID: "pause", Role: pod.RolePause, PID: 99, CgroupPath: "/podstead/burstable/podx/pause"})
	wanted := pod.Desired{Key: web.Instance.Key, Pod: web.Pod}
	h := pod.Histogram{}.With(3 * time.Millisecond).With(2 * time.Second).With(time.Hour)
	return &pod.Snapshot{
		Node:      pod.Node{ID: "node", Name: "edge", HostIPs: []string{"192.0.2.1"}, BootID: "boot", Capacity: list("4", "8Gi"), Allocatable: list("3500m", "7Gi")},
		Pods:      []pod.View{leaving(), web, crashing()},
		Workloads: workloads(), Services: services(),
		Runtime: pod.RuntimeState{Up: true, Version: "v2.3.4"},
		Disk: pod.Disk{Stuck: "no image can be removed", Filesystems: []pod.Filesystem{
			{Uses: []string{"state", "images"}, Path: "/var/lib/podstead", Size: 100 << 30, Available: 10 << 30, Inodes: 1000, InodesFree: 900, Pressure: "it is short"},
			{Uses: []string{"run"}, Path: "/run/podstead", Size: 1 << 30, Available: 1 << 29},
		}},
		Sources: []pod.SourceState{
			{Name: "fleet", Error: "get: timeout", ErrorReason: "timeout", Held: []pod.ObjectKey{{Kind: pod.KindPod, Key: pod.Key{Namespace: "shop", Name: "db"}}}},
			{Name: "local", Synced: true, Pods: []pod.Desired{wanted, wanted}, Objects: make([]pod.Object, 3), LastSuccess: born.Add(59 * time.Minute),
				Problems: []pod.Problem{
					{Severity: pod.Error, Reason: pod.ReasonSyntax, Origin: pod.Origin{File: "/m/a.yaml", Line: 3}},
					{Severity: pod.Error, Reason: pod.ReasonSyntax, Origin: pod.Origin{File: "/m/a.yaml", Line: 4}},
					{Severity: pod.Warning, Reason: pod.ReasonIgnoredField, Origin: pod.Origin{File: "/m/b.yaml"}}}},
		},
		Counters: pod.Counters{
			Restarts:    map[pod.RestartCause]uint64{pod.RestartOOM: 4},
			Operations:  map[string]pod.OperationCounter{"start": {Errors: 1, Seconds: h}, "pull": {Seconds: h}},
			Pulls:       map[pod.PullResult]uint64{pod.PullSuccess: 2, pod.PullFailure: 1},
			PullSeconds: h, StartSeconds: h, Relists: h, RelistGaps: h,
			SourceStates: map[pod.SourceResult]uint64{{Source: "local", Result: "success"}: 7, {Source: "fleet", Result: "timeout"}: 2},
			Leftovers:    map[string]uint64{"cgroup": 1}, Recoveries: 1, Queued: 2, Running: 3,
			Rollouts:        map[pod.RolloutResult]uint64{pod.RolloutComplete: 5, pod.RolloutFailed: 2, pod.RolloutRolledBack: 1},
			ImagesCollected: map[string]uint64{"space": 3}, ImageBytes: 5 << 20, LayersDropped: 4, CollectErrors: 1,
		},
	}
}

// fakeStats answers the same for everything, or hangs.
type fakeStats struct {
	mu    sync.Mutex
	calls int
	// hang, while it is open, keeps readings from ending.
	hang chan struct{}
}

func stats() pod.CgroupStats {
	return pod.CgroupStats{
		CPU: &pod.CPUStats{Total: 90 * time.Second, User: 60 * time.Second, System: 30 * time.Second, Periods: 400, Throttled: 70, ThrottledTime: 12 * time.Second},
		Memory: &pod.MemoryStats{Usage: 70 << 20, WorkingSet: 50 << 20, RSS: 40 << 20, Cache: 30 << 20, Swap: 1 << 20, Mapped: 5 << 20, Kernel: 256 << 10,
			Peak: 80 << 20, ActiveFile: 10 << 20, InactiveFile: 20 << 20, Dirty: 8192, PageFaults: 900, MajorFaults: 9, OwnPageFaults: 800, OwnMajorFaults: 8,
			OOMKills: 2, LimitHits: 12, HighEvents: 3, RefaultFile: 5, RefaultAnon: 4, PageScan: 77},
		PIDs:     &pod.PIDStats{Current: 5, Max: 1024, LimitHits: 3},
		IO:       []pod.DeviceStats{{Device: "/dev/vda", ReadBytes: 4096, WriteBytes: 8192, Reads: 1, Writes: 2}},
		Pressure: &pod.PressureStats{CPU: pod.StallStats{Some: 3 * time.Second, Full: 2 * time.Second}, Memory: pod.StallStats{Some: time.Second}, IO: pod.StallStats{Some: 5 * time.Second}},
	}
}

func (f *fakeStats) Cgroup(_ context.Context, path string) (pod.CgroupStats, error) {
	f.mu.Lock()
	f.calls++
	hang := f.hang
	f.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if strings.Contains(path, "gone") {
		return pod.CgroupStats{}, fs.ErrNotExist
	}
	return stats(), nil
}

// PodCgroup leaves out what it may.
func (f *fakeStats) PodCgroup(ctx context.Context, path string) (pod.CgroupStats, error) {
	s, err := f.Cgroup(ctx, path)
	if err != nil {
		return s, err
	}
	const no = pod.Unmeasured
	m := s.Memory
	m.Mapped, m.Kernel, m.Peak, m.ActiveFile, m.Dirty = no, no, no, no, no
	m.PageFaults, m.MajorFaults, m.OwnPageFaults, m.OwnMajorFaults = no, no, no, no
	m.LimitHits, m.HighEvents, m.RefaultFile, m.RefaultAnon, m.PageScan = no, no, no, no, no
	s.CPU.Total *= 2
	s.CPU.User, s.CPU.System, s.IO = no, no, nil
	return s, nil
}

// CgroupUsage gives nothing but what it has to.
func (f *fakeStats) CgroupUsage(ctx context.Context, path string) (pod.CgroupStats, error) {
	s, err := f.Cgroup(ctx, path)
	if err != nil {
		return pod.CgroupStats{}, err
	}
	return pod.CgroupStats{CPU: &pod.CPUStats{Total: s.CPU.Total}, Memory: &pod.MemoryStats{WorkingSet: s.Memory.WorkingSet}}, nil
}

func (f *fakeStats) Network(context.Context, int) ([]pod.InterfaceStats, error) {
	return []pod.InterfaceStats{{Name: "eth0", Receive: pod.TrafficStats{Bytes: 1000, Packets: 10, Errors: 1, Dropped: 2}, Transmit: pod.TrafficStats{Bytes: 2000, Packets: 20, Errors: 3, Dropped: 4}}}, nil
}

func (f *fakeStats) Node(context.Context) (pod.NodeStats, error) {
	return pod.NodeStats{CPU: 1000 * time.Second, WorkingSet: 2 << 30, Swap: 1 << 30}, nil
}

func (f *fakeStats) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

type fakeDisk struct{ measured int }

func (f *fakeDisk) Pod(_ context.Context, p *pod.View) (pod.DiskStats, error) {
	f.measured++
	if p.Instance.Name == "old" {
		return pod.DiskStats{}, errors.New("can't be read")
	}
	return pod.DiskStats{Layers: map[string]int64{"nginx": 1 << 20}, Logs: map[string]int64{"nginx": 4096}, Volumes: map[string]int64{"cache": 8192}}, nil
}

func (f *fakeDisk) Processes(context.Context, string) (pod.ProcessStats, error) {
	return pod.ProcessStats{Processes: 2, FileDescriptors: 30, Sockets: 4}, nil
}

func (f *fakeDisk) Filesystem(context.Context) (pod.FilesystemStats, error) {
	return pod.FilesystemStats{Device: "/dev/vda1", Size: 100 << 30, Available: 60 << 30, Inodes: 1000, InodeFree: 900}, nil
}

type fakeLimits struct{}

func (fakeLimits) Container(_ *corev1.Pod, c *corev1.Container) (*specs.LinuxResources, int) {
	quota, period, shares, memory := c.Resources.Limits.Cpu().MilliValue()*100, uint64(100000), uint64(102), c.Resources.Limits.Memory().Value()
	if quota == 0 {
		quota, memory = -1, -1
	}
	return &specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: &quota, Period: &period, Shares: &shares}, Memory: &specs.LinuxMemory{Limit: &memory}}, 0
}

type fakeProbes []pod.ProbeReport

func (f fakeProbes) All() []pod.ProbeReport { return f }

func reports(snap *pod.Snapshot) fakeProbes {
	web, ok := snap.Find(pod.Key{Namespace: "default", Name: "web"})
	if !ok {
		return nil
	}
	of := func(container string, kind pod.ProbeKind, outcome pod.ProbeOutcome) pod.ProbeReport {
		return pod.ProbeReport{ProbeID: pod.ProbeID{Container: container, Kind: kind}, Instance: web.Instance, Name: "nginx", Outcome: outcome,
			Succeeded: 10, Failed: 2, Unknown: 1, Recent: []pod.ProbeAttempt{{Took: 20 * time.Millisecond}}}
	}
	id := web.Containers[0].ID
	return fakeProbes{of(id, pod.ProbeReadiness, pod.ProbeFailure), of(id, pod.ProbeLiveness, pod.ProbeSuccess), of("the run before", pod.ProbeLiveness, pod.ProbeFailure), of(id, pod.ProbeStartup, pod.ProbeUnknown)}
}

func config(snap *pod.Snapshot) Config {
	return Config{Snapshots: fixed{snap}, Stats: &fakeStats{}, Disk: &fakeDisk{}, Limits: fakeLimits{}, Probes: reports(snap),
		Facts: Facts{Version: "v0.2.0", Commit: "abc", Go: "go1.26", Kernel: "6.1.0", OS: "Debian", Pressure: true}}
}

func request(path string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr = "127.0.0.1:1234"
	return r
}

// get asks a handler as a client on this server does.
func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := request(path)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// measured runs the measuring beside a story, so that a second scrape sees it.
func measured(t *testing.T, s *Server, story func(http.Handler)) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.meter.run(ctx)
	}()
	h := s.Handler()
	get(h, "/metrics/cadvisor")
	synctest.Wait()
	story(h)
	cancel()
	<-done
}

// many is a snapshot of pods with two containers each.
func many(pods int) *pod.Snapshot {
	snap := snapshot()
	snap.Pods = nil
	for i := range pods {
		snap.Pods = append(snap.Pods, podView("default", fmt.Sprintf("pod-%03d", i), 1, "app", "helper"))
	}
	return snap
}
