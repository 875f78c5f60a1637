package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/printer"
	"github.com/podstead/podstead/pod"
)

// describeFlags are the flags of describe.
type describeFlags struct {
	scope
	events bool
}

func (a *App) describeCommand() *cobra.Command {
	f := &describeFlags{}
	c := &cobra.Command{
		Use:   "describe TYPE [NAME|PREFIX...]",
		Short: "Tell all that is known of objects",
		Long: "Tell all that is known of objects.\n\nTypes are pods, deployments, replicasets, daemonsets, services and nodes. Of a deployment or daemonset\n" +
			"it tells the revisions too, and of one that failed what was seen then.",
		Example: "  podstead describe pod web\n  podstead describe pods -l app=web\n  podstead describe deployment/web svc/web",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("what to describe is missing: podstead describe pod [NAME...]")
			}
			if name, is, err := nodeArgs(args); is {
				if err != nil {
					return err
				}
				return a.describeNode(c.Context(), name)
			}
			list, err := describeArgs(args)
			if err != nil {
				return err
			}
			return a.describe(c.Context(), f, list)
		},
		ValidArgsFunction: a.completeKinds(&f.scope, "nodes"),
	}
	f.several(c)
	c.Flags().BoolVar(&f.events, "show-events", true, "show what happened to the pods as well")
	a.completeFlags(c, "namespace", a.completeNamespaces)
	return c
}

// describeArgs takes "TYPE [NAME...]", "TYPE/NAME..." and, for pods, "NAME...".
func describeArgs(args []string) ([]target, error) {
	if _, typed := kindOf(args[0]); !typed && !strings.ContainsAny(args[0], "/,") {
		args = append([]string{"pods"}, args...)
	}
	list, _, err := targets(args)
	return list, err
}

func (a *App) describe(ctx context.Context, f *describeFlags, list []target) error {
	client := a.client()
	defer client.Close()
	shown := 0
	var missing error
	for _, t := range list {
		described, gone, err := a.describable(ctx, client, f, t)
		if err != nil {
			return err
		}
		missing = errors.Join(missing, gone)
		for _, describe := range described {
			if shown++; shown > 1 {
				fmt.Fprint(a.Out, "\n\n")
			}
			if err := describe(); err != nil {
				return err
			}
		}
	}
	if shown == 0 && missing == nil {
		_, err := fmt.Fprintln(a.Err, f.nothing())
		return err
	}
	return missing
}

// describable finds the objects of a target, each with a function that
// describes it; missing tells of names that no object has or begins with.
func (a *App) describable(ctx context.Context, client *api.Client, f *describeFlags, t target) (found []func() error, missing, err error) {
	switch t.kind {
	case pod.KindPod:
		details, missing, err := a.details(ctx, client, f, t.names)
		for i := range details {
			found = append(found, func() error { return a.describeOne(ctx, client, f, &details[i]) })
		}
		return found, missing, err
	case pod.KindEndpointSlice:
		return nil, nil, errors.New("endpointslices are not described: 'podstead describe service NAME' shows those of a service")
	case pod.KindService:
		list, err := client.Services(ctx, f.options())
		if err != nil {
			return nil, nil, err
		}
		chosen, missing := choose(list.Items, t, func(s *api.Service) string { return s.Service.Name })
		for _, s := range chosen {
			found = append(found, func() error { return a.describeService(ctx, client, f, s) })
		}
		return found, missing, nil
	}
	list, err := describedWorkloads(ctx, client, f, t.kind)
	if err != nil {
		return nil, nil, err
	}
	chosen, missing := choose(list, t, func(w *api.Workload) string { return w.Name })
	for _, w := range chosen {
		found = append(found, func() error { return a.describeWorkload(f, w) })
	}
	return found, missing, nil
}

// choose takes the items of the names or, where there is none, of names that
// begin so.
func choose[T any](items []T, t target, name func(*T) string) (chosen []*T, missing error) {
	take := func(so func(name string) bool) {
		for i := range items {
			if so(name(&items[i])) {
				chosen = append(chosen, &items[i])
			}
		}
	}
	if len(t.names) == 0 {
		take(func(string) bool { return true })
	}
	for _, want := range t.names {
		before := len(chosen)
		take(func(name string) bool { return name == want })
		if len(chosen) == before {
			take(func(name string) bool { return strings.HasPrefix(name, want) })
		}
		if len(chosen) == before {
			missing = errors.Join(missing, apierrors.NewNotFound(api.Resource(t.kind), want))
		}
	}
	return chosen, missing
}

// describedWorkloads are the workloads of a kind; ReplicaSets of Deployments
// among them.
func describedWorkloads(ctx context.Context, client *api.Client, f *describeFlags, k pod.Kind) ([]api.Workload, error) {
	list, err := client.Workloads(ctx, k, f.options())
	if err != nil || k != pod.KindReplicaSet {
		return itemsOf(list), err
	}
	sets, err := client.Objects(ctx, k, f.options())
	if err != nil {
		return nil, err
	}
	for _, o := range sets.Items {
		set := o.(*appsv1.ReplicaSet)
		if metav1.GetControllerOf(set) == nil {
			continue
		}
		list.Items = append(list.Items, api.Workload{
			ObjectKey:  pod.ObjectKey{Kind: k, Key: pod.Key{Namespace: set.Namespace, Name: set.Name}},
			ReplicaSet: set, Replicas: *set.Spec.Replicas,
		})
	}
	return list.Items, nil
}

func itemsOf(list *api.WorkloadList) []api.Workload {
	if list == nil {
		return nil
	}
	return list.Items
}

func (a *App) describeWorkload(f *describeFlags, w *api.Workload) error {
	events := w.Events
	if !f.events {
		events = nil
	}
	return printer.DescribeWorkload(a.Out, w, events, a.Now())
}

func (a *App) describeService(ctx context.Context, client *api.Client, f *describeFlags, s *api.Service) error {
	if !f.events {
		return printer.DescribeService(a.Out, s, nil, a.Now())
	}
	events, err := client.Events(ctx, api.ListOptions{
		Namespace: s.Service.Namespace, FieldSelector: "involvedObject.kind=Service,involvedObject.name=" + s.Service.Name,
	})
	if err != nil {
		return err
	}
	return printer.DescribeService(a.Out, s, events.Items, a.Now())
}

// details finds the pods of the names, or all; missing tells of names that no
// pod has or begins with.
func (a *App) details(ctx context.Context, client *api.Client, f *describeFlags, names []string) (found []api.Details, missing, err error) {
	if len(names) == 0 {
		list, err := client.Details(ctx, f.options(), "")
		if err != nil {
			return nil, nil, err
		}
		return list.Items, nil, nil
	}
	for _, name := range names {
		list, err := client.Details(ctx, f.options(), name)
		if err != nil {
			return nil, nil, err
		}
		if len(list.Items) == 0 {
			if list, err = client.Details(ctx, f.options(), ""); err != nil {
				return nil, nil, err
			}
			list.Items = slices.DeleteFunc(list.Items, func(d api.Details) bool { return !strings.HasPrefix(d.Pod.Name, name) })
		}
		if len(list.Items) == 0 {
			missing = errors.Join(missing, apierrors.NewNotFound(corev1.Resource("pods"), name))
		}
		found = append(found, list.Items...)
	}
	return found, missing, nil
}

func (a *App) describeOne(ctx context.Context, client *api.Client, f *describeFlags, d *api.Details) error {
	if !f.events {
		return printer.Describe(a.Out, d, nil, a.Now())
	}
	events, err := client.Events(ctx, api.ListOptions{
		Namespace:     d.Pod.Namespace,
		FieldSelector: "involvedObject.kind=Pod,involvedObject.name=" + d.Pod.Name,
	})
	if err != nil {
		return err
	}
	return printer.Describe(a.Out, d, events.Items, a.Now())
}
