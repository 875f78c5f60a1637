package manifest

import (
	"net/netip"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/pod"
)

// DefaultObject is Default for an object of any kind.
func DefaultObject(o *pod.Object) {
	if o.Content() == nil {
		return
	}
	switch {
	case o.Pod != nil:
		Default(o.Pod)
		return
	case o.Deployment != nil:
		nameKind(&o.Deployment.TypeMeta, o.Kind)
		defaultDeployment(&o.Deployment.Spec)
	case o.ReplicaSet != nil:
		nameKind(&o.ReplicaSet.TypeMeta, o.Kind)
		setPointer(&o.ReplicaSet.Spec.Replicas, 1)
	case o.DaemonSet != nil:
		nameKind(&o.DaemonSet.TypeMeta, o.Kind)
		defaultDaemonSet(&o.DaemonSet.Spec)
	case o.Service != nil:
		nameKind(&o.Service.TypeMeta, o.Kind)
		defaultService(&o.Service.Spec)
	case o.EndpointSlice != nil:
		nameKind(&o.EndpointSlice.TypeMeta, o.Kind)
		defaultEndpointSlice(o.EndpointSlice)
	}
	if content := o.Content(); content.GetNamespace() == "" {
		content.SetNamespace("default")
	}
	if t := o.Template(); t != nil {
		DefaultTemplate(t)
	}
}

func nameKind(m *metav1.TypeMeta, k pod.Kind) { m.Kind, m.APIVersion = string(k), k.APIVersion() }

func defaultDeployment(s *appsv1.DeploymentSpec) {
	setPointer(&s.Replicas, 1)
	setPointer(&s.RevisionHistoryLimit, 10)
	setPointer(&s.ProgressDeadlineSeconds, 600)
	setDefault(&s.Strategy.Type, appsv1.RollingUpdateDeploymentStrategyType)
	if s.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType {
		return
	}
	setPointer(&s.Strategy.RollingUpdate, appsv1.RollingUpdateDeployment{})
	setPointer(&s.Strategy.RollingUpdate.MaxUnavailable, intstr.FromString("25%"))
	setPointer(&s.Strategy.RollingUpdate.MaxSurge, intstr.FromString("25%"))
}

func defaultDaemonSet(s *appsv1.DaemonSetSpec) {
	setPointer(&s.RevisionHistoryLimit, 10)
	setDefault(&s.UpdateStrategy.Type, appsv1.RollingUpdateDaemonSetStrategyType)
	if s.UpdateStrategy.Type != appsv1.RollingUpdateDaemonSetStrategyType {
		return
	}
	setPointer(&s.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateDaemonSet{})
	setPointer(&s.UpdateStrategy.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
	setPointer(&s.UpdateStrategy.RollingUpdate.MaxSurge, intstr.FromInt32(0))
}

// defaultService fills in what doesn't depend on the server. Which addresses
// and node ports a Service gets, and of which families where it names none,
// is decided where those of the server are known.
func defaultService(s *corev1.ServiceSpec) {
	setDefault(&s.Type, corev1.ServiceTypeClusterIP)
	defaultAffinity(s)
	for i := range s.Ports {
		p := &s.Ports[i]
		setDefault(&p.Protocol, corev1.ProtocolTCP)
		if p.TargetPort == (intstr.IntOrString{}) || p.TargetPort == intstr.FromString("") {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
	if s.Type == corev1.ServiceTypeExternalName {
		return
	}
	setPointer(&s.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	if s.Type == corev1.ServiceTypeNodePort || s.Type == corev1.ServiceTypeLoadBalancer {
		setDefault(&s.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster)
	}
	if s.Type == corev1.ServiceTypeLoadBalancer {
		setPointer(&s.AllocateLoadBalancerNodePorts, true)
	}
	defaultFamilies(s)
}

func defaultAffinity(s *corev1.ServiceSpec) {
	setDefault(&s.SessionAffinity, corev1.ServiceAffinityNone)
	if s.SessionAffinity != corev1.ServiceAffinityClientIP {
		return
	}
	setPointer(&s.SessionAffinityConfig, corev1.SessionAffinityConfig{})
	setPointer(&s.SessionAffinityConfig.ClientIP, corev1.ClientIPConfig{})
	setPointer(&s.SessionAffinityConfig.ClientIP.TimeoutSeconds, corev1.DefaultClientIPServiceAffinitySeconds)
}

// defaultFamilies makes clusterIP and clusterIPs say the same, and the
// families follow the addresses. As in Kubernetes, a Service is of one family
// unless it names two; one without addresses and selector is of both.
func defaultFamilies(s *corev1.ServiceSpec) {
	switch {
	case s.ClusterIP != "" && len(s.ClusterIPs) == 0:
		s.ClusterIPs = []string{s.ClusterIP}
	case s.ClusterIP == "" && len(s.ClusterIPs) > 0:
		s.ClusterIP = s.ClusterIPs[0]
	}
	if len(s.IPFamilies) == 0 {
		s.IPFamilies = familiesOf(s.ClusterIPs)
	}
	dual := len(s.ClusterIPs) > 1 || len(s.IPFamilies) > 1
	if dual || s.ClusterIP == corev1.ClusterIPNone && len(s.Selector) == 0 && len(s.IPFamilies) == 0 {
		setPointer(&s.IPFamilyPolicy, corev1.IPFamilyPolicyRequireDualStack)
	}
	setPointer(&s.IPFamilyPolicy, corev1.IPFamilyPolicySingleStack)
}

// familiesOf returns the families of addresses; nil if one of them is none, or
// a second one of its family.
func familiesOf(ips []string) []corev1.IPFamily {
	var families []corev1.IPFamily
	for _, text := range ips {
		ip, err := netip.ParseAddr(text)
		family := corev1.IPv6Protocol
		if ip.Is4() {
			family = corev1.IPv4Protocol
		}
		if err != nil || slices.Contains(families, family) {
			return nil
		}
		families = append(families, family)
	}
	return families
}

func defaultEndpointSlice(s *discoveryv1.EndpointSlice) {
	for i := range s.Ports {
		setPointer(&s.Ports[i].Name, "")
		setPointer(&s.Ports[i].Protocol, corev1.ProtocolTCP)
	}
}
