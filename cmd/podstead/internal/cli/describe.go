package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/printer"
)

// describeFlags are the flags of describe.
type describeFlags struct {
	scope
	events bool
}

func (a *App) describeCommand() *cobra.Command {
	f := &describeFlags{}
	c := &cobra.Command{
		Use:     "describe pod|node [NAME|PREFIX...]",
		Short:   "Tell all that is known of pods, or of the node",
		Example: "  podstead describe pod web\n  podstead describe pods -l app=web",
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
			names, err := describeArgs(args)
			if err != nil {
				return err
			}
			return a.describe(c.Context(), f, names)
		},
		ValidArgsFunction: a.completePods(&f.scope),
	}
	f.several(c)
	c.Flags().BoolVar(&f.events, "show-events", true, "show what happened to the pods as well")
	a.completeFlags(c, "namespace", a.completeNamespaces)
	return c
}

// describeArgs takes "pods [NAME...]", "NAME..." and "pod/NAME...".
func describeArgs(args []string) ([]string, error) {
	if isPods(args[0]) {
		args = args[1:]
	}
	names := make([]string, len(args))
	for i, arg := range args {
		var err error
		if names[i], err = podName(arg); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func (a *App) describe(ctx context.Context, f *describeFlags, names []string) error {
	client := a.client()
	defer client.Close()
	details, missing, err := a.details(ctx, client, f, names)
	if err != nil {
		return err
	}
	if len(details) == 0 && missing == nil {
		_, err := fmt.Fprintln(a.Err, f.nothing())
		return err
	}
	for i := range details {
		if i > 0 {
			fmt.Fprint(a.Out, "\n\n")
		}
		if err := a.describeOne(ctx, client, f, &details[i]); err != nil {
			return err
		}
	}
	return missing
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
