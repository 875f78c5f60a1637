package cli

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/pod"
)

// noon is the present of all tests.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(noon.Add(-d)) }

// host is a server with a pod that is well, one that crashes and whose
// manifest is broken, one that waits for its init container, and a Job-like
// one that is done.
func host() pod.Snapshot {
	return pod.Snapshot{
		Version: 1, Time: noon,
		Node: pod.Node{
			Labels: map[string]string{"kubernetes.io/hostname": "edge"},
			ID:     "node-1", Name: "edge", HostIPs: []string{"192.0.2.2"},
			Capacity:    corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4500m"), corev1.ResourceMemory: resource.MustParse("8Gi")},
			Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi")},
		},
		Disk: pod.Disk{Since: noon.Add(-time.Hour), Stuck: "no image can be removed: 2 are in use, pinned or the last good ones of pods (310Mi)", Filesystems: []pod.Filesystem{
			{Uses: []string{"images", "state", "logs"}, Path: "/var/lib/podstead/containerd", Size: 20 << 30, Available: 1 << 30, Inodes: 1000, InodesFree: 900,
				Pressure: "the file system of images, state, logs (/var/lib/podstead/containerd) has 1024Mi of 20480Mi available, less than 15%"},
			{Uses: []string{"run"}, Path: "/run/podstead", Size: 800 << 20, Available: 790 << 20},
		}},
		Runtime: pod.RuntimeState{Up: true, Mode: "own", Address: "/run/c.sock", Version: "2.3.7", Since: noon.Add(-time.Hour),
			Warnings: []string{"memory can't be limited here"}},
		Sources: []pod.SourceState{
			{Name: "files", Kind: "directory", Location: "/m", Synced: true, LastSuccess: noon.Add(-4 * time.Second), Pods: make([]pod.Desired, 3),
				Objects:  []pod.Object{{ObjectKey: pod.ObjectKey{Kind: pod.KindDeployment}}, {ObjectKey: pod.ObjectKey{Kind: pod.KindService}}},
				Problems: []pod.Problem{brokenCrash()}},
			{Name: "fleet", Kind: "url", Location: "https://fleet/pods", Error: "no answer within 10s", ErrorReason: "timeout", Held: []pod.ObjectKey{{Kind: pod.KindPod, Key: pod.Key{Name: "a"}}, {Kind: pod.KindPod, Key: pod.Key{Name: "b"}}}},
		},
		Images: []pod.ImageView{
			{Ref: "docker.io/library/nginx:1"},
			{Ref: "docker.io/library/redis:7", Pulling: true, Progress: pod.ImageProgress{Done: 30 << 20, Total: 120 << 20, Layers: 6, LayersDone: 2}},
			{Ref: "docker.io/library/gone:1", Error: "not found", NextTry: noon.Add(20 * time.Second)},
		},
		Pods:   []pod.View{crash(), waiting(), web(), done()},
		Events: events(),
	}
}

func view(namespace, name string, age time.Duration, containers ...string) pod.View {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "11111111-2222", CreationTimestamp: ago(age)},
		Spec:       corev1.PodSpec{NodeName: "edge", RestartPolicy: corev1.RestartPolicyAlways},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, QOSClass: corev1.PodQOSBestEffort, HostIP: "192.0.2.2"},
	}
	start := ago(age)
	p.Status.StartTime = &start
	v := pod.View{Instance: pod.Instance{Key: pod.Key{Namespace: namespace, Name: name}, Number: 1}, Pod: p,
		Origin: pod.Origin{Source: "files", File: "/m/" + name + ".yaml", Line: 1, Column: 1}}
	for _, c := range containers {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: c, Image: "docker.io/library/nginx:1"})
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c, Ready: true, Image: "docker.io/library/nginx:1", ContainerID: "containerd://id-" + c,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: start}},
		})
		v.Containers = append(v.Containers, pod.ContainerView{
			Name: c, ID: "id-" + name + "-" + c, Role: pod.RoleApp, PID: 7, CgroupPath: "/podstead/" + name + "/" + c,
			LogPath: "/var/log/pods/" + namespace + "_" + name + "_11111111-2222/" + c + "/0.log",
		})
	}
	return v
}

func web() pod.View {
	v := view("default", "web", 26*time.Hour, "app", "side")
	v.Pod.Labels = map[string]string{"app": "web", "tier": "front"}
	v.Pod.Annotations = map[string]string{"note": "hello", "startup.probe.podstead.dev/app": "250ms"}
	v.Pod.Status.PodIP, v.Pod.Status.PodIPs = "10.0.0.5", []corev1.PodIP{{IP: "10.0.0.5"}}
	v.Pod.Status.QOSClass = corev1.PodQOSBurstable
	v.Pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	size := resource.MustParse("64Mi")
	kind := corev1.HostPathDirectory
	v.Pod.Spec.Volumes = []corev1.Volume{
		{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: "Memory", SizeLimit: &size}}},
		{Name: "data", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/srv/data", Type: &kind}}},
	}
	app := &v.Pod.Spec.Containers[0]
	app.Command, app.Args = []string{"nginx"}, []string{"-g", "daemon off;"}
	app.Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: 80, Protocol: "TCP"}, {Name: "dns", ContainerPort: 53, Protocol: "UDP"}}
	app.LivenessProbe = &corev1.Probe{
		ProbeHandler:   corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("http")}},
		TimeoutSeconds: 1, PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3, TerminationGracePeriodSeconds: new(int64),
	}
	app.ReadinessProbe = &corev1.Probe{
		ProbeHandler:   corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Scheme: "HTTP", Port: intstr.FromInt32(8080), Path: "/healthz?full=1"}},
		TimeoutSeconds: 1, PeriodSeconds: 3, SuccessThreshold: 1, FailureThreshold: 3,
	}
	app.StartupProbe = &corev1.Probe{
		ProbeHandler:        corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 9000, Service: new(string)}},
		InitialDelaySeconds: 2, TimeoutSeconds: 1, PeriodSeconds: 1, SuccessThreshold: 1, FailureThreshold: 30,
	}
	app.Lifecycle = &corev1.Lifecycle{
		PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"warm", "up"}}},
		PreStop:   &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}},
	}
	app.Env = []corev1.EnvVar{{Name: "MODE", Value: "fast"},
		{Name: "NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.name"}}}}
	app.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data", ReadOnly: true, SubPath: "web"}, {Name: "tmp", MountPath: "/tmp"}}
	app.Resources.Limits = corev1.ResourceList{"memory": resource.MustParse("128Mi"), "cpu": resource.MustParse("1")}
	app.Resources.Requests = corev1.ResourceList{"memory": resource.MustParse("64Mi"), "cpu": resource.MustParse("1")}
	v.Notes = []string{"memory limit 64Mi is below the 80Mi in use: held"}
	return v
}

// probed is how the probes of web go: ready no more, live still though the
// last attempt failed, and started long ago.
func probed() map[string][]pod.ProbeReport {
	tries := func(first time.Duration, apart time.Duration, results ...pod.ProbeAttempt) []pod.ProbeAttempt {
		for i := range results {
			results[i].At.Wall = noon.Add(-first - time.Duration(i)*apart)
		}
		return results
	}
	bad := pod.ProbeAttempt{Result: pod.ProbeFailure, Message: "HTTP GET http://10.0.0.5:8080/healthz: status 503,\nwant 200 to 399\x1b[2J"}
	refused := pod.ProbeAttempt{Result: pod.ProbeFailure, Message: "connection refused"}
	well := pod.ProbeAttempt{Result: pod.ProbeSuccess, Message: "connected"}
	report := func(kind pod.ProbeKind, outcome pod.ProbeOutcome, streak int, apart time.Duration, recent []pod.ProbeAttempt) pod.ProbeReport {
		return pod.ProbeReport{ProbeID: pod.ProbeID{Container: "id-web-app", Kind: kind}, Outcome: outcome, Streak: streak, Recent: recent,
			Since: pod.Stamp{Wall: recent[0].At.Wall.Add(-time.Duration(streak-1) * apart)}}
	}
	return map[string][]pod.ProbeReport{"id-web-app": {
		report(pod.ProbeStartup, pod.ProbeSuccess, 7, 10*time.Second, tries(0, 10*time.Second, well, well, well, well, well)),
		report(pod.ProbeReadiness, pod.ProbeFailure, 4, 3*time.Second, tries(3*time.Second, 3*time.Second, bad, bad, bad, bad, well)),
		report(pod.ProbeLiveness, pod.ProbeSuccess, 1, 10*time.Second, tries(2*time.Second, 10*time.Second, refused, well)),
	}}
}

func brokenCrash() pod.Problem {
	return pod.Problem{
		Origin: pod.Origin{Source: "files", File: "/m/crash.yaml", Line: 9, Column: 5}, Severity: pod.Error, Reason: pod.ReasonUnknownField,
		Key: pod.Key{Namespace: "default", Name: "crash"}, Field: "spec.containers[0].imagee", Message: "there is no such field; did you mean image?",
		Consequence: "pod default/crash keeps running as before",
	}
}

func crash() pod.View {
	v := view("default", "crash", 10*time.Minute, "app")
	s := &v.Pod.Status.ContainerStatuses[0]
	s.Ready, s.RestartCount = false, 4
	s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 80s"}}
	s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
		ExitCode: 3, Reason: "Error", Message: "boom\x1b[31m", StartedAt: ago(50 * time.Second), FinishedAt: ago(40 * time.Second)}
	v.Problems = []pod.Problem{brokenCrash()}
	c := &v.Containers[0]
	c.LastLogTail, c.NextStart, c.PID = []string{"connecting", "no route to \x1b]0;evil\x07host"}, noon.Add(40*time.Second), 0
	c.LogPath = "/var/log/pods/default_crash_11111111-2222/app/4.log"
	c.Logger = "its logger died; output is lost until it starts again"
	return v
}

func waiting() pod.View {
	v := view("default", "waiting", 90*time.Second, "app")
	v.Pod.Status.Phase = corev1.PodPending
	v.Pod.Spec.InitContainers = []corev1.Container{{Name: "one", Image: "i"}, {Name: "two", Image: "i"}}
	v.Pod.Status.InitContainerStatuses = []corev1.ContainerStatus{
		{Name: "one", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}},
		{Name: "two", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(time.Minute)}}},
	}
	s := &v.Pod.Status.ContainerStatuses[0]
	s.Ready, s.State = false, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}
	v.Containers = []pod.ContainerView{{Name: "app", Role: pod.RoleApp}}
	v.Pod.Spec.InitContainers[1].Ports = []corev1.ContainerPort{
		{ContainerPort: 80, HostPort: 18080, HostIP: "192.0.2.9", Protocol: "TCP"}, {ContainerPort: 53, HostPort: 18053, Protocol: "UDP"},
	}
	return v
}

func done() pod.View {
	v := view("jobs", "done", 3*time.Hour, "app")
	v.Pod.Status.Phase = corev1.PodSucceeded
	s := &v.Pod.Status.ContainerStatuses[0]
	s.Ready = false
	s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}
	v.Containers[0].PID = 0
	v.Pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 18081, Protocol: "TCP"}}
	return v
}

func events() []corev1.Event {
	event := func(name, about, kind, reason, message string, count int32, first, last time.Duration) corev1.Event {
		return corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Type: kind, Reason: reason, Message: message, Count: count,
			FirstTimestamp: ago(first), LastTimestamp: ago(last), Source: corev1.EventSource{Component: "podstead"},
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: about},
		}
	}
	return []corev1.Event{
		event("crash.1", "crash", "Warning", "BackOff", "Back-off 80s\nrestarting app\x1b[2J", 4, 9*time.Minute, 40*time.Second),
		event("web.1", "web", "Normal", "Started", "Started container app", 1, 26*time.Hour, 26*time.Hour),
	}
}

// images are one in use, one that is pinned, and one that may go.
func images() []pod.StoredImage {
	return []pod.StoredImage{
		{Digest: "sha256:1", Names: []string{"docker.io/library/nginx:1", "docker.io/library/nginx@sha256:1"}, Size: 187 << 20, LastUsed: noon.Add(-26 * time.Hour), Kept: "used by pod default/web"},
		{Digest: "sha256:2", Names: []string{"registry.example.com/shop/base:3"}, Size: 120<<20 + 1, LastUsed: noon.Add(-50 * time.Hour), Kept: "imported from an archive"},
		{Digest: "sha256:3", Names: []string{"docker.io/library/redis:6"}, Size: 100 << 20, LastUsed: noon.Add(-3 * time.Hour)},
	}
}
