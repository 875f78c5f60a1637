package service

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// Views are Services as people see them, with what Resolve said of them, sorted
// by key. nodeID makes UIDs, node is the server's name.
func Views(in Input, r Result, nodeID, node string) []pod.ServiceView {
	v := &viewer{in: in, nodeID: nodeID, node: node, written: map[pod.Key][]*pod.Object{}}
	var services []*pod.Object
	seen := make(map[pod.ObjectKey]bool, len(in.Objects))
	for i := range in.Objects {
		o := &in.Objects[i]
		switch {
		case seen[o.ObjectKey]:
		case o.Service != nil:
			services = append(services, o)
		case o.EndpointSlice != nil:
			of := serviceOf(o)
			v.written[of] = append(v.written[of], o)
		}
		seen[o.ObjectKey] = true
	}
	slices.SortFunc(services, func(a, b *pod.Object) int { return compareKeys(a.Key, b.Key) })
	views := make([]pod.ServiceView, 0, len(services))
	for _, o := range services {
		views = append(views, v.view(o, r))
	}
	return views
}

// serviceOf is the Service that an EndpointSlice belongs to.
func serviceOf(o *pod.Object) pod.Key {
	return pod.Key{Namespace: o.Namespace, Name: o.EndpointSlice.Labels[discoveryv1.LabelServiceName]}
}

// viewer describes Services; written are the EndpointSlices of manifests.
type viewer struct {
	in           Input
	nodeID, node string
	written      map[pod.Key][]*pod.Object
}

func (v *viewer) view(o *pod.Object, r Result) pod.ServiceView {
	s := o.Service.DeepCopy()
	s.TypeMeta = metav1.TypeMeta{Kind: string(pod.KindService), APIVersion: pod.KindService.APIVersion()}
	s.UID = pod.ObjectUID(v.nodeID, o.ObjectKey)
	given := r.Memory[o.Key.String()]
	s.CreationTimestamp = metav1.NewTime(given.Since)
	if traffic := s.Spec.Type != corev1.ServiceTypeExternalName && s.Spec.ClusterIP != corev1.ClusterIPNone; traffic {
		s.Spec.ClusterIPs, s.Spec.ClusterIP = given.ClusterIPs, ""
		if len(given.ClusterIPs) > 0 {
			s.Spec.ClusterIP = given.ClusterIPs[0]
		}
		s.Spec.IPFamilies = nil
		for _, ip := range parse(given.ClusterIPs) {
			s.Spec.IPFamilies = append(s.Spec.IPFamilies, corev1.IPFamily(familyName(ip.Is6())))
		}
		for i := range s.Spec.Ports {
			s.Spec.Ports[i].NodePort = given.NodePorts[portOf(&s.Spec.Ports[i])]
		}
	}
	at, found := slices.BinarySearchFunc(r.Services, o.Key, func(s pod.Service, key pod.Key) int { return compareKeys(s.Key, key) })
	if found {
		for _, ip := range r.Services[at].HostIPs {
			if ip == hostLoopback {
				continue
			}
			s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: ip, IPMode: new(corev1.LoadBalancerIPModeVIP)})
		}
	}
	view := pod.ServiceView{Service: s, Slices: v.slices(o.Key, &o.Service.Spec), Origin: o.Origin}
	for i := range view.Slices {
		view.Slices[i].CreationTimestamp = s.CreationTimestamp
	}
	for _, p := range r.Problems {
		if p.Object() == o.ObjectKey || slices.ContainsFunc(v.written[o.Key], func(w *pod.Object) bool { return w.ObjectKey == p.Object() }) {
			view.Problems = append(view.Problems, p)
		}
	}
	return view
}

// slices are the endpoints of a Service: for its pods one slice for each of its
// families and each set of ports, and those that are written by hand.
func (v *viewer) slices(key pod.Key, spec *corev1.ServiceSpec) []discoveryv1.EndpointSlice {
	made := map[string]*discoveryv1.EndpointSlice{}
	families := (&resolver{in: v.in}).families(&service{spec: spec})
	for i := range v.in.Pods {
		p := &v.in.Pods[i]
		if len(spec.Selector) == 0 || p.Key.Namespace != key.Namespace || !matches(p, spec.Selector) {
			continue
		}
		ports := podPorts(p, spec)
		for _, ip := range parse(p.IPs) {
			if !slices.Contains(families, ip.Is6()) {
				continue
			}
			of := familyName(ip.Is6()) + describePorts(ports)
			if made[of] == nil {
				made[of] = v.slice(key, ip, of, ports)
			}
			made[of].Endpoints = append(made[of].Endpoints, v.endpoint(p, spec, key, ip))
		}
	}
	var list []discoveryv1.EndpointSlice
	for _, of := range slices.Sorted(maps.Keys(made)) {
		s := made[of]
		slices.SortStableFunc(s.Endpoints, func(a, b discoveryv1.Endpoint) int { return compareIPs(a.Addresses[0], b.Addresses[0]) })
		list = append(list, *s)
	}
	for _, o := range v.written[key] {
		s := o.EndpointSlice.DeepCopy()
		s.TypeMeta = metav1.TypeMeta{Kind: string(pod.KindEndpointSlice), APIVersion: pod.KindEndpointSlice.APIVersion()}
		s.UID = pod.ObjectUID(v.nodeID, o.ObjectKey)
		list = append(list, *s)
	}
	return list
}

func (v *viewer) slice(key pod.Key, ip netip.Addr, of string, ports []discoveryv1.EndpointPort) *discoveryv1.EndpointSlice {
	name := fmt.Sprintf("%s-%05x", key.Name, hash(of)&0xfffff)
	return &discoveryv1.EndpointSlice{
		TypeMeta: metav1.TypeMeta{Kind: string(pod.KindEndpointSlice), APIVersion: pod.KindEndpointSlice.APIVersion()},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: name,
			UID:    pod.ObjectUID(v.nodeID, pod.ObjectKey{Kind: pod.KindEndpointSlice, Key: pod.Key{Namespace: key.Namespace, Name: name}}),
			Labels: map[string]string{discoveryv1.LabelServiceName: key.Name, discoveryv1.LabelManagedBy: "podstead"},
		},
		AddressType: discoveryv1.AddressType(familyName(ip.Is6())), Ports: ports,
	}
}

func (v *viewer) endpoint(p *Pod, spec *corev1.ServiceSpec, key pod.Key, ip netip.Addr) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{
		Addresses: []string{ip.String()}, NodeName: &v.node,
		Conditions: discoveryv1.EndpointConditions{
			Ready:   new(!p.Stopping && (p.Ready || spec.PublishNotReadyAddresses)),
			Serving: new(p.Ready), Terminating: new(p.Stopping),
		},
		TargetRef: &corev1.ObjectReference{
			Kind: string(pod.KindPod), Namespace: p.Key.Namespace, Name: p.Key.Name,
			UID: pod.UID(v.nodeID, pod.Instance{Key: p.Key, Number: p.Number}),
		},
	}
	if p.Spec.Hostname != "" && p.Spec.Subdomain == key.Name {
		e.Hostname = &p.Spec.Hostname
	}
	return e
}

// podPorts are the ports of a Service as a pod has them; one that it has not is
// left out.
func podPorts(p *Pod, spec *corev1.ServiceSpec) []discoveryv1.EndpointPort {
	var ports []discoveryv1.EndpointPort
	for i := range spec.Ports {
		port := &spec.Ports[i]
		if n, ok := targetPort(p, port); ok {
			ports = append(ports, discoveryv1.EndpointPort{Name: &port.Name, Protocol: &port.Protocol, Port: &n, AppProtocol: port.AppProtocol})
		}
	}
	slices.SortStableFunc(ports, func(a, b discoveryv1.EndpointPort) int { return cmp.Compare(*a.Port, *b.Port) })
	return ports
}

func describePorts(ports []discoveryv1.EndpointPort) string {
	text := ""
	for _, p := range ports {
		text += fmt.Sprintf(" %s:%d/%s", *p.Name, *p.Port, *p.Protocol)
	}
	return text
}
