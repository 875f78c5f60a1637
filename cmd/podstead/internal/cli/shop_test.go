package cli

import (
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/api/apitest"
	"github.com/podstead/podstead/pod"
)

// shop is a server with a Deployment that was rolled back, one whose new
// revision is held, one that is being rolled out, one that people changed and
// one that is for other servers, a DaemonSet whose revision failed for good, a
// ReplicaSet of its own, and Services of each type.
func shop() pod.Snapshot {
	return pod.Snapshot{
		Version: 1, Time: noon, Node: pod.Node{ID: "node-1", Name: "edge"},
		Pods:      []pod.View{shopPod("web-54c9-aaaaa", false), shopPod("web-54c9-bbbbb", true), shopPod("web-54c9-ccccc", true)},
		Workloads: []pod.WorkloadView{agent(), held(), elsewhere(), rolling(), scaled(), rolledBack(), lone()},
		Services:  services(),
		Events: []corev1.Event{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web.1"}, Type: "Warning", Reason: "NodePortTaken", Message: "30080 is taken", Count: 1,
			FirstTimestamp: ago(time.Minute), LastTimestamp: ago(time.Minute), Source: corev1.EventSource{Component: "podstead"},
			InvolvedObject: corev1.ObjectReference{Kind: "Service", Namespace: "shop", Name: "web"},
		}},
	}
}

func shopDaemon() *apitest.Daemon {
	d := &apitest.Daemon{OnExec: pretend, OnRollout: steer, OnDiff: compare}
	d.Publish(shop())
	return d
}

// steer says what was done, and that api is paused.
func steer(w pod.ObjectKey, c pod.RolloutCommand) (string, error) {
	if w.Name == "api" {
		return "", fmt.Errorf("%s: %s is paused: resume it first", c.Verb, w)
	}
	switch c.Verb {
	case pod.Scale:
		return fmt.Sprintf("scaled to %d", c.Replicas), nil
	case pod.RolloutUndo:
		return fmt.Sprintf("rolled back to revision %d", c.Revision), nil
	}
	return string(c.Verb) + " done", nil
}

// compare finds web changed, api as it is, others new, and can't say anything
// of what is called broken.
func compare(objects []pod.Object) ([]pod.Change, error) {
	var changes []pod.Change
	for i := range objects {
		o := &objects[i]
		c := pod.Change{ObjectKey: o.ObjectKey, Verb: "created", After: o}
		switch {
		case o.Name == "broken":
			return nil, errors.New("nothing is known yet")
		case o.Name == "forbidden":
			c.Problems = []pod.Problem{{Origin: o.Origin, Severity: pod.Error, Reason: pod.ReasonPolicy, Field: "spec.hostNetwork",
				Message: "is not allowed by Pod Security level baseline", Consequence: "the source would refuse it, and what runs would stay"}}
		case o.Name == "api":
			c.Verb, c.Before = "unchanged", o
		case o.Kind == pod.KindDeployment:
			before := *o.Deployment
			before.Spec.Replicas = new(int32)
			c.Verb, c.Before = "changed", &pod.Object{ObjectKey: o.ObjectKey, Deployment: &before}
			c.Plan = []string{"revision 4 (web-54d0) replaces what runs, start-first: nothing keeps them from being beside one another"}
		}
		changes = append(changes, c)
	}
	return changes, nil
}

func shopPod(name string, ready bool) pod.View {
	v := view("shop", name, time.Hour, "app")
	v.Pod.Labels = map[string]string{"app": "web", "pod-template-hash": "54c9"}
	v.Pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: "TCP"}}
	if ready {
		v.Pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	return v
}

func template(name, image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image,
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: "TCP"}}}}},
	}
}

func shopMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "33333333", Generation: 2, CreationTimestamp: ago(25 * time.Hour), Labels: map[string]string{"app": name}}
}

func workloadView(kind pod.Kind, name string) pod.WorkloadView {
	return pod.WorkloadView{
		ObjectKey: pod.ObjectKey{Kind: kind, Key: pod.Key{Namespace: "shop", Name: name}}, Revision: 1, Wanted: 1,
		Origin: pod.Origin{Source: "files", File: "/m/" + name + ".yaml", Line: 1, Column: 1},
	}
}

// deployment has as many pods of each sort as are named.
func deployment(name, image string, wanted, total, updated, available int32) pod.WorkloadView {
	v := workloadView(pod.KindDeployment, name)
	quarter, deadline := intstr.FromString("25%"), int32(600)
	t := template(name, image)
	v.Replicas = wanted
	v.Deployment = &appsv1.Deployment{
		ObjectMeta: shopMeta(name),
		Spec: appsv1.DeploymentSpec{
			Replicas: &wanted, Selector: &metav1.LabelSelector{MatchLabels: t.Labels}, Template: t, ProgressDeadlineSeconds: &deadline,
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &quarter, MaxUnavailable: &quarter}},
		},
		Status: appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: total, UpdatedReplicas: updated, ReadyReplicas: available,
			AvailableReplicas: available, UnavailableReplicas: wanted - available},
	}
	v.Revisions = []pod.RevisionView{{Number: 1, Hash: "54c9", Template: &t, Created: noon.Add(-25 * time.Hour), Good: true}}
	return v
}

func rolledBack() pod.WorkloadView {
	v := deployment("web", "registry.example.com/web:2", 3, 3, 0, 2)
	good, bad := template("web", "registry.example.com/web:1"), template("web", "registry.example.com/web:2")
	bad.Annotations = map[string]string{changeCauseAnnotation: "try the new cache"}
	code := 3
	failure := &pod.RevisionFailure{
		Reason: "CrashLoop", Message: "pod web-77f1-ddddd crashed 3 times", At: noon.Add(-9 * time.Minute),
		Pods: []pod.FailedPod{{Name: "web-77f1-ddddd", Crashes: 3,
			Troubles: []pod.Trouble{
				{Container: "app", Reason: "Error", ExitCode: &code, LogTail: []string{"connecting to\tcache:6379", "no route to \x1b]0;evil\x07host"}},
				{Container: "side", Reason: "Unhealthy", Probe: "HTTP GET http://10.0.0.7:8080/: status 503,\nwant 200 to 399"},
			},
			Events: []string{"Pulled: image is present", "BackOff: Back-off 20s restarting app"}}},
	}
	v.Revision, v.Wanted = 3, 2
	v.Revisions = []pod.RevisionView{
		{Number: 2, Hash: "77f1", Template: &bad, Created: noon.Add(-10 * time.Minute), Failure: failure},
		{Number: 3, Hash: "54c9", Template: &good, Created: noon.Add(-25 * time.Hour), Good: true},
	}
	v.Plan = []string{"revision 2 (web-77f1) failed: pod web-77f1-ddddd crashed 3 times", "revision 3 (web-54c9) runs instead, until the manifest changes"}
	v.Deployment.Status.Conditions = []appsv1.DeploymentCondition{
		{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable", Message: "Deployment has minimum availability."},
		{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded", Message: "revision 2 (web-77f1) failed: pod web-77f1-ddddd crashed 3 times"},
	}
	v.ReplicaSets = []appsv1.ReplicaSet{replicaSet("web", "77f1", "2", 0, bad), replicaSet("web", "54c9", "3", 3, good)}
	v.Events = []corev1.Event{{Type: "Warning", Reason: "RolledBack", Message: "revision 3 (web-54c9) replaces revision 2 (web-77f1), which failed", Count: 1,
		FirstTimestamp: ago(9 * time.Minute), LastTimestamp: ago(9 * time.Minute), Source: corev1.EventSource{Component: "podstead"}}}
	return v
}

const changeCauseAnnotation = "kubernetes.io/change-cause"

func replicaSet(owner, hash, number string, pods int32, t corev1.PodTemplateSpec) appsv1.ReplicaSet {
	yes := true
	meta := shopMeta(owner + "-" + hash)
	meta.Annotations = map[string]string{"deployment.kubernetes.io/revision": number}
	meta.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: owner, Controller: &yes}}
	return appsv1.ReplicaSet{
		ObjectMeta: meta,
		Spec:       appsv1.ReplicaSetSpec{Replicas: &pods, Template: t, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": owner, "pod-template-hash": hash}}},
		Status:     appsv1.ReplicaSetStatus{Replicas: pods, ReadyReplicas: pods},
	}
}

// held waits for an image, and is paused.
func held() pod.WorkloadView {
	v := deployment("api", "registry.example.com/api:9", 1, 1, 0, 1)
	v.Wanted, v.Held, v.Paused = 2, "image registry.example.com/api:9 can't be had: not found", true
	v.Plan = []string{"revision 2 (api-61aa) waits: image registry.example.com/api:9 can't be had: not found; what runs stays"}
	return v
}

func elsewhere() pod.WorkloadView {
	v := deployment("gpu", "registry.example.com/gpu:1", 1, 0, 0, 0)
	v.Elsewhere, v.Revision, v.Wanted, v.Revisions = "nodeSelector wants gpu=yes, this server has no label gpu", 0, 0, nil
	return v
}

func rolling() pod.WorkloadView {
	v := deployment("rolling", "registry.example.com/rolling:2", 4, 5, 2, 4)
	v.Revision, v.Wanted = 2, 2
	return v
}

// scaled has four pods where its manifest says two.
func scaled() pod.WorkloadView {
	v := deployment("scaled", "registry.example.com/scaled:1", 4, 4, 4, 4)
	two := int32(2)
	v.Deployment.Spec.Replicas, v.Drift = &two, []string{"replicas is 4, the manifest says 2"}
	v.Deployment.Annotations = map[string]string{pod.AutoRollbackAnnotation: "false"}
	return v
}

func agent() pod.WorkloadView {
	v := workloadView(pod.KindDaemonSet, "agent")
	t := template("agent", "registry.example.com/agent:5")
	t.Spec.NodeSelector = map[string]string{"disk": "ssd"}
	v.Replicas, v.Revision, v.Wanted = 1, 2, 2
	v.DaemonSet = &appsv1.DaemonSet{
		ObjectMeta: shopMeta("agent"),
		Spec: appsv1.DaemonSetSpec{Template: t, Selector: &metav1.LabelSelector{MatchLabels: t.Labels},
			UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType}},
		Status: appsv1.DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 1, CurrentNumberScheduled: 1, UpdatedNumberScheduled: 1},
	}
	v.Revisions = []pod.RevisionView{{Number: 2, Hash: "98ab", Template: &t, Created: noon.Add(-time.Hour),
		Failure: &pod.RevisionFailure{Reason: "ProgressDeadlineExceeded", Message: "not ready within 10m0s", At: noon.Add(-50 * time.Minute)}}}
	return v
}

func lone() pod.WorkloadView {
	v := workloadView(pod.KindReplicaSet, "lone")
	set := replicaSet("lone", "x", "", 2, template("lone", "registry.example.com/lone:1"))
	set.Name, set.OwnerReferences, set.Annotations = "lone", nil, nil
	v.ReplicaSet, v.Replicas, v.Revision, v.Wanted = &set, 2, 0, 0
	return v
}

func services() []pod.ServiceView {
	service := func(name string, kind corev1.ServiceType, change func(*corev1.Service)) pod.ServiceView {
		s := &corev1.Service{ObjectMeta: shopMeta(name), Spec: corev1.ServiceSpec{Type: kind, SessionAffinity: "None"}}
		change(s)
		return pod.ServiceView{Service: s, Origin: pod.Origin{Source: "files", File: "/m/" + name + ".yaml", Line: 1, Column: 1}}
	}
	port := func(name string, port, node int32, target intstr.IntOrString) corev1.ServicePort {
		return corev1.ServicePort{Name: name, Protocol: "TCP", Port: port, NodePort: node, TargetPort: target}
	}
	list := []pod.ServiceView{
		service("alias", corev1.ServiceTypeExternalName, func(s *corev1.Service) { s.Spec.ExternalName = "db.example.com" }),
		service("headless", corev1.ServiceTypeClusterIP, func(s *corev1.Service) {
			s.Spec.ClusterIP, s.Spec.ClusterIPs = "None", []string{"None"}
			s.Spec.Ports = []corev1.ServicePort{port("", 8080, 0, intstr.FromInt32(8080))}
		}),
		service("public", corev1.ServiceTypeLoadBalancer, func(s *corev1.Service) {
			s.Spec.ClusterIP, s.Spec.ClusterIPs = "10.96.0.9", []string{"10.96.0.9"}
			s.Spec.Ports = []corev1.ServicePort{port("", 443, 30443, intstr.FromInt32(8443))}
			s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.2"}, {IP: "2001:db8::2"}}
		}),
		service("web", corev1.ServiceTypeNodePort, func(s *corev1.Service) {
			s.Spec.ClusterIP, s.Spec.ClusterIPs = "10.96.0.10", []string{"10.96.0.10", "fd00::a"}
			s.Spec.Selector = map[string]string{"app": "web"}
			s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
			s.Spec.Ports = []corev1.ServicePort{port("http", 80, 30080, intstr.FromString("http")), port("metrics", 9090, 0, intstr.FromInt32(9090))}
		}),
	}
	list[3].Slices = []discoveryv1.EndpointSlice{webSlice()}
	list[3].Problems = []pod.Problem{{Origin: pod.Origin{Source: "files", File: "/m/web.yaml", Line: 9, Column: 3}, Severity: pod.Warning,
		Reason: pod.ReasonConflict, Field: "spec.ports[1].nodePort", Message: "30081 is taken", Consequence: "it is not open"}}
	return list
}

func webSlice() discoveryv1.EndpointSlice {
	http, tcp, number, yes, no := "http", corev1.ProtocolTCP, int32(8080), true, false
	endpoint := func(ip, name string, ready, terminating *bool) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Addresses: []string{ip}, Conditions: discoveryv1.EndpointConditions{Ready: ready, Terminating: terminating},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: name}}
	}
	return discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "shop", Name: "web-ipv4", CreationTimestamp: ago(25 * time.Hour), Labels: map[string]string{"kubernetes.io/service-name": "web"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &http, Protocol: &tcp, Port: &number}},
		Endpoints: []discoveryv1.Endpoint{
			endpoint("10.0.0.11", "web-54c9-aaaaa", &no, &no), endpoint("10.0.0.12", "web-54c9-bbbbb", &yes, &no),
			endpoint("10.0.0.13", "web-54c9-ccccc", &yes, &no), endpoint("10.0.0.14", "web-54c9-eeeee", &no, &yes),
		},
	}
}
