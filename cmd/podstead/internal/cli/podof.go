package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/pod"
)

// podRefArg takes "NAME", "pod/NAME", "pod NAME" and "TYPE/NAME" from the front
// of args; the last means one of the pods of a workload or Service.
func podRefArg(args []string) (ref pod.ObjectKey, rest []string, err error) {
	if len(args) > 0 && strings.Contains(args[0], "/") {
		ref, err = named(args[0])
		if err == nil && ref.Kind == pod.KindEndpointSlice {
			err = fmt.Errorf("got %s, want a pod, or a deployment, replicaset, daemonset or service with pods", args[0])
		}
		return ref, args[1:], err
	}
	name, rest, err := podArg(args)
	return pod.ObjectKey{Kind: pod.KindPod, Key: pod.Key{Name: name}}, rest, err
}

// podOf finds the pod that is meant: of a workload or Service the one that
// serves best. Of how many it was chosen is told.
func (a *App) podOf(ctx context.Context, client *api.Client, s *scope, ref pod.ObjectKey) (p *corev1.Pod, of int, err error) {
	ref.Namespace = s.namespace
	o, err := client.Object(ctx, ref)
	if err != nil {
		return nil, 0, err
	}
	if p, is := o.(*corev1.Pod); is {
		return p, 1, nil
	}
	selector := podSelector(o)
	if selector == "" {
		return nil, 0, fmt.Errorf("%s %s selects no pods", ref.Kind, ref.Name)
	}
	list, err := client.Pods(ctx, api.ListOptions{Namespace: s.namespace, LabelSelector: selector})
	if err != nil {
		return nil, 0, err
	}
	if len(list.Items) == 0 {
		return nil, 0, fmt.Errorf("%s %s has no pods", ref.Kind, ref.Name)
	}
	best := slices.MinFunc(list.Items, func(a, b corev1.Pod) int { return cmp.Compare(rank(&a), rank(&b)) })
	return &best, len(list.Items), nil
}

// podSelector is what selects the pods of an object, empty for nothing.
func podSelector(o api.Object) string {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return metav1.FormatLabelSelector(o.Spec.Selector)
	case *appsv1.ReplicaSet:
		return metav1.FormatLabelSelector(o.Spec.Selector)
	case *appsv1.DaemonSet:
		return metav1.FormatLabelSelector(o.Spec.Selector)
	case *corev1.Service:
		return labels.Set(o.Spec.Selector).String()
	}
	return ""
}

// rank orders pods by how much they are of use, best first.
func rank(p *corev1.Pod) int {
	ready := slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
	switch {
	case p.DeletionTimestamp != nil:
		return 3
	case p.Status.Phase != corev1.PodRunning:
		return 2
	case !ready:
		return 1
	}
	return 0
}

// serviceWords asks for a Service and turns its ports into those of the pod.
func serviceWords(ctx context.Context, client *api.Client, key pod.Key, words []string, p *corev1.Pod) ([]string, error) {
	o, err := client.Object(ctx, pod.ObjectKey{Kind: pod.KindService, Key: key})
	if err != nil {
		return nil, err
	}
	return servicePortWords(words, o.(*corev1.Service), p)
}

// servicePortWords turns ports of a Service into those of the pod, for
// parsePort.
func servicePortWords(words []string, s *corev1.Service, p *corev1.Pod) ([]string, error) {
	var out []string
	for _, word := range words {
		local, remote, both := strings.Cut(word, ":")
		if !both {
			remote = local
		}
		i := slices.IndexFunc(s.Spec.Ports, func(port corev1.ServicePort) bool {
			return isTCP(&corev1.ContainerPort{Protocol: port.Protocol}) && (port.Name == remote && remote != "" || strconv.Itoa(int(port.Port)) == remote)
		})
		if i < 0 {
			return nil, fmt.Errorf("Service %s does not have a TCP port %s", s.Name, remote) //nolint:staticcheck // kubectl's words
		}
		port := &s.Spec.Ports[i]
		if !both {
			local = strconv.Itoa(int(port.Port))
		}
		target := port.TargetPort.String()
		if s.Spec.ClusterIP == corev1.ClusterIPNone || target == "0" || target == "" {
			target = strconv.Itoa(int(port.Port))
		}
		if _, err := remotePort(target, p); err != nil {
			return nil, err
		}
		out = append(out, local+":"+target)
	}
	return out, nil
}
