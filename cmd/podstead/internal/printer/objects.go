package printer

import (
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/pod"
)

// QualifiedName names an object with its type, as in deployment.apps/web.
func QualifiedName(o api.Object) string {
	return qualified(pod.Kind(o.GetObjectKind().GroupVersionKind().Kind), o.GetName())
}

// QualifiedKey is QualifiedName of an object that is known by its key.
func QualifiedKey(k pod.ObjectKey) string { return qualified(k.Kind, k.Name) }

func qualified(k pod.Kind, name string) string {
	text := strings.ToLower(string(k))
	if group := api.Resource(k).Group; group != "" {
		text += "." + group
	}
	return text + "/" + name
}

// Header returns the headings for Row of objects of a kind.
func Header(k pod.Kind, c Columns) []string {
	var header, wide []string
	ofTemplates := []string{"CONTAINERS", "IMAGES", "SELECTOR"}
	switch k {
	case pod.KindPod:
		return PodHeader(c)
	case pod.KindDeployment:
		header, wide = []string{"NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"}, ofTemplates
	case pod.KindReplicaSet:
		header, wide = []string{"NAME", "DESIRED", "CURRENT", "READY", "AGE"}, ofTemplates
	case pod.KindDaemonSet:
		header, wide = []string{"NAME", "DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE", "NODE SELECTOR", "AGE"}, ofTemplates
	case pod.KindService:
		header, wide = []string{"NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"}, []string{"SELECTOR"}
	case pod.KindEndpointSlice:
		header = []string{"NAME", "ADDRESSTYPE", "PORTS", "ENDPOINTS", "AGE"}
	}
	if c.Wide {
		header = append(header, wide...)
	}
	return c.header(header)
}

// Row shows one object.
func Row(o api.Object, c Columns, now time.Time) []string {
	age := Age(o.GetCreationTimestamp().Time, now)
	var row, wide []string
	switch o := o.(type) {
	case *corev1.Pod:
		return PodRow(o, c, now)
	case *appsv1.Deployment:
		st := &o.Status
		row = []string{fmt.Sprintf("%d/%d", st.ReadyReplicas, replicas(o.Spec.Replicas)), number(st.UpdatedReplicas), number(st.AvailableReplicas), age}
		wide = templateCells(&o.Spec.Template, o.Spec.Selector)
	case *appsv1.ReplicaSet:
		row = []string{number(replicas(o.Spec.Replicas)), number(o.Status.Replicas), number(o.Status.ReadyReplicas), age}
		wide = templateCells(&o.Spec.Template, o.Spec.Selector)
	case *appsv1.DaemonSet:
		st := &o.Status
		row = []string{number(st.DesiredNumberScheduled), number(st.CurrentNumberScheduled), number(st.NumberReady),
			number(st.UpdatedNumberScheduled), number(st.NumberAvailable), orNone(labels.Set(o.Spec.Template.Spec.NodeSelector).String()), age}
		wide = templateCells(&o.Spec.Template, o.Spec.Selector)
	case *corev1.Service:
		row = []string{string(o.Spec.Type), clusterIP(o), externalIP(o, c.Wide), servicePorts(o), age}
		wide = []string{orNone(labels.Set(o.Spec.Selector).String())}
	case *discoveryv1.EndpointSlice:
		row = []string{string(o.AddressType), some(slicePorts(o), ","), some(sliceAddresses(o), ","), age}
	}
	if c.Wide {
		row = append(row, wide...)
	}
	return c.row(o, row)
}

func number(n int32) string { return fmt.Sprint(n) }

// replicas is a number of pods; one if none is given.
func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

func templateCells(t *corev1.PodTemplateSpec, selector *metav1.LabelSelector) []string {
	var names, images []string
	for i := range t.Spec.Containers {
		names = append(names, t.Spec.Containers[i].Name)
		images = append(images, t.Spec.Containers[i].Image)
	}
	return []string{strings.Join(names, ","), strings.Join(images, ","), metav1.FormatLabelSelector(selector)}
}

func clusterIP(s *corev1.Service) string {
	if len(s.Spec.ClusterIPs) > 0 {
		return s.Spec.ClusterIPs[0]
	}
	return orNone(s.Spec.ClusterIP)
}

// externalWidth is how long a load balancer's addresses may be unless wide
// columns are asked for.
const externalWidth = 16

func externalIP(s *corev1.Service, wide bool) string {
	external := strings.Join(s.Spec.ExternalIPs, ",")
	switch s.Spec.Type {
	case corev1.ServiceTypeExternalName:
		return s.Spec.ExternalName
	case corev1.ServiceTypeLoadBalancer:
		text := strings.Join(append(ingress(s), s.Spec.ExternalIPs...), ",")
		if text == "" {
			return "<pending>"
		}
		if !wide && len(text) > externalWidth {
			text = text[:externalWidth-3] + "..."
		}
		return text
	}
	return orNone(external)
}

func ingress(s *corev1.Service) []string {
	var list []string
	for _, i := range s.Status.LoadBalancer.Ingress {
		if text := i.IP + i.Hostname; text != "" {
			list = append(list, text)
		}
	}
	return list
}

func servicePorts(s *corev1.Service) string {
	var list []string
	for _, p := range s.Spec.Ports {
		text := number(p.Port)
		if p.NodePort != 0 {
			text += ":" + number(p.NodePort)
		}
		list = append(list, text+"/"+string(p.Protocol))
	}
	return orNone(strings.Join(list, ","))
}

func slicePorts(s *discoveryv1.EndpointSlice) []string {
	var list []string
	for _, p := range s.Ports {
		if p.Port == nil {
			list = append(list, "*")
		} else {
			list = append(list, number(*p.Port))
		}
	}
	return list
}

func sliceAddresses(s *discoveryv1.EndpointSlice) []string {
	var list []string
	for _, e := range s.Endpoints {
		list = append(list, e.Addresses...)
	}
	return list
}

// some joins the first three, and says how many more there are.
func some(list []string, separator string) string {
	if len(list) == 0 {
		return "<unset>"
	}
	text := strings.Join(list[:min(len(list), 3)], separator)
	if more := len(list) - 3; more > 0 {
		text += fmt.Sprintf(" + %d more...", more)
	}
	return text
}
