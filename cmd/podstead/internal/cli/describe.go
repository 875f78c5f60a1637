package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/printer"
)

func (a *App) describeCommand() *cobra.Command {
	s := &scope{}
	c := &cobra.Command{
		Use:     "describe pod|node [NAME]",
		Short:   "Tell all that is known of a pod, of all, or of the node",
		Example: "  podstead describe pod web\n  podstead describe pods -l app=web",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if name, is, err := nodeArgs(args); is {
				if err != nil {
					return err
				}
				return a.describeNode(c.Context(), name)
			}
			if len(args) == 1 && isPods(args[0]) {
				return a.describe(c.Context(), s, "")
			}
			name, rest, err := podArg(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return fmt.Errorf("got %q after the pod, want one name", rest)
			}
			return a.describe(c.Context(), s, name)
		},
		ValidArgsFunction: a.completePods(s),
	}
	s.several(c)
	a.completeFlags(c, "namespace", a.completeNamespaces)
	return c
}

func (a *App) describe(ctx context.Context, s *scope, name string) error {
	client := a.client()
	defer client.Close()
	list, err := client.Details(ctx, s.options(), name)
	if err != nil {
		return err
	}
	switch {
	case len(list.Items) == 0 && name != "":
		return apierrors.NewNotFound(corev1.Resource("pods"), name)
	case len(list.Items) == 0:
		_, err := fmt.Fprintln(a.Err, s.nothing())
		return err
	}
	for i := range list.Items {
		d := &list.Items[i]
		events, err := client.Events(ctx, api.ListOptions{
			Namespace:     d.Pod.Namespace,
			FieldSelector: "involvedObject.kind=Pod,involvedObject.name=" + d.Pod.Name,
		})
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprint(a.Out, "\n\n")
		}
		if err := printer.Describe(a.Out, d, events.Items, a.Now()); err != nil {
			return err
		}
	}
	return nil
}
