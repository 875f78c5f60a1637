package printer

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/podstead/podstead/api"
)

// DescribeService tells all that is known of a Service, in kubectl's sections,
// with every endpoint and how it is.
func DescribeService(w io.Writer, d *api.Service, events []corev1.Event, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	p := &page{w: t, now: now}
	s := d.Service
	p.meta(s)
	p.origin(d.Origin)
	p.list(0, "Selector", pairsOf(labels.Set(s.Spec.Selector).String()))
	p.line(0, "Type", string(s.Spec.Type))
	p.addressesOf(s)
	for i := range s.Spec.Ports {
		p.servicePort(d, &s.Spec.Ports[i])
	}
	p.line(0, "Session Affinity", affinity(s))
	p.given(0, "External Traffic Policy", string(s.Spec.ExternalTrafficPolicy))
	if s.Spec.InternalTrafficPolicy != nil {
		p.line(0, "Internal Traffic Policy", string(*s.Spec.InternalTrafficPolicy))
	}
	p.wrong(d.Problems)
	p.slices(d.Slices)
	p.events(events)
	if p.err != nil {
		return p.err
	}
	return t.Flush()
}

func pairsOf(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

func (p *page) addressesOf(s *corev1.Service) {
	if s.Spec.IPFamilyPolicy != nil {
		p.line(0, "IP Family Policy", string(*s.Spec.IPFamilyPolicy))
	}
	var families []string
	for _, f := range s.Spec.IPFamilies {
		families = append(families, string(f))
	}
	p.line(0, "IP Families", orNone(strings.Join(families, ",")))
	p.line(0, "IP", s.Spec.ClusterIP)
	p.line(0, "IPs", orNone(strings.Join(s.Spec.ClusterIPs, ",")))
	if len(s.Spec.ExternalIPs) > 0 {
		p.line(0, "External IPs", strings.Join(s.Spec.ExternalIPs, ","))
	}
	p.given(0, "External Name", s.Spec.ExternalName)
	if list := ingress(s); len(list) > 0 {
		p.line(0, "LoadBalancer Ingress", strings.Join(list, ", "))
	}
}

func (p *page) servicePort(d *api.Service, port *corev1.ServicePort) {
	name := port.Name
	if name == "" {
		name = "<unset>"
	}
	p.line(0, "Port", fmt.Sprintf("%s  %d/%s", name, port.Port, port.Protocol))
	p.line(0, "TargetPort", fmt.Sprintf("%s/%s", port.TargetPort.String(), port.Protocol))
	if port.NodePort != 0 {
		p.line(0, "NodePort", fmt.Sprintf("%s  %d/%s", name, port.NodePort, port.Protocol))
	}
	p.line(0, "Endpoints", strings.TrimSuffix(some(endpointsOf(d, port), ","), "<unset>"))
}

// endpointsOf are the addresses and ports that get a port's traffic.
func endpointsOf(d *api.Service, port *corev1.ServicePort) []string {
	var list []string
	for i := range d.Slices {
		s := &d.Slices[i]
		for _, sp := range s.Ports {
			if sp.Port == nil || deref(sp.Name) != port.Name || deref(sp.Protocol) != port.Protocol {
				continue
			}
			for j := range s.Endpoints {
				if e := &s.Endpoints[j]; ready(e) {
					for _, address := range e.Addresses {
						list = append(list, net.JoinHostPort(address, number(*sp.Port)))
					}
				}
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// ready is true where nothing is said.
func ready(e *discoveryv1.Endpoint) bool { return e.Conditions.Ready == nil || *e.Conditions.Ready }

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

func affinity(s *corev1.Service) string {
	text := string(s.Spec.SessionAffinity)
	if c := s.Spec.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		text += fmt.Sprintf(" for %ds", *c.ClientIP.TimeoutSeconds)
	}
	return text
}

// slices lists every endpoint with how it is.
func (p *page) slices(list []discoveryv1.EndpointSlice) {
	if len(list) == 0 {
		return
	}
	p.printf(0, "Addresses:\n")
	p.printf(1, "Address\tReady\tState\tTarget\tSlice\n")
	for i := range list {
		for j := range list[i].Endpoints {
			e := &list[i].Endpoints[j]
			state, target := "serving", none
			switch {
			case deref(e.Conditions.Terminating):
				state = "terminating"
			case !ready(e):
				state = "not ready"
			}
			if e.TargetRef != nil {
				target = e.TargetRef.Kind + "/" + e.TargetRef.Name
			}
			p.printf(1, "%s\t%t\t%s\t%s\t%s\n", strings.Join(e.Addresses, ","), ready(e), state, target, list[i].Name)
		}
	}
}
