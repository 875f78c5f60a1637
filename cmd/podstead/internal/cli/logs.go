package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/pod"
)

func (a *App) logsCommand() *cobra.Command {
	s, o := &scope{}, &api.LogOptions{}
	var tail int64
	var sinceTime string
	c := &cobra.Command{
		Use:     "logs POD [-c CONTAINER]",
		Short:   "Show the log of a container",
		Example: "  podstead logs -f web\n  podstead logs -p --tail 20 web -c app",
		Args:    cobra.RangeArgs(1, 3),
		RunE: func(c *cobra.Command, args []string) error {
			name, rest, err := podArg(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 && o.Container == "" {
				o.Container = rest[0]
			}
			if tail >= 0 {
				o.TailLines = &tail
			}
			if sinceTime != "" {
				if o.SinceTime, err = time.Parse(time.RFC3339, sinceTime); err != nil {
					return fmt.Errorf("--since-time: got %q, want a time such as 2026-01-02T15:04:05Z", sinceTime)
				}
			}
			return a.logs(c.Context(), s.key(name), o)
		},
		ValidArgsFunction: a.completePods(s),
	}
	s.name(c)
	c.Flags().StringVarP(&o.Container, "container", "c", "", "the container, when the pod has several")
	c.Flags().BoolVarP(&o.Follow, "follow", "f", false, "go on with new lines, also after a rotation or a restart of the container")
	c.Flags().BoolVarP(&o.Previous, "previous", "p", false, "the log of the run before this one")
	c.Flags().Int64Var(&tail, "tail", -1, "how many lines from the end; -1 for all")
	c.Flags().DurationVar(&o.Since, "since", 0, "only lines that are newer than this, such as 5s, 2m or 3h")
	c.Flags().StringVar(&sinceTime, "since-time", "", "only lines after this time (RFC 3339)")
	c.Flags().BoolVar(&o.Timestamps, "timestamps", false, "put the time before each line")
	c.Flags().Int64Var(&o.LimitBytes, "limit-bytes", 0, "how many bytes at most")
	a.completeFlags(c, "namespace", a.completeNamespaces)
	a.completeFlags(c, "container", a.completeContainers(s))
	return c
}

func (a *App) logs(ctx context.Context, key pod.Key, o *api.LogOptions) error {
	client := a.client()
	defer client.Close()
	if o.Container == "" {
		var err error
		if o.Container, err = a.defaultContainer(ctx, client, key); err != nil {
			return err
		}
	}
	in, err := client.Logs(ctx, key, *o)
	if err != nil {
		return err
	}
	defer in.Close()
	if _, err := io.Copy(a.Out, in); err != nil && ctx.Err() == nil {
		return fmt.Errorf("read the log of pod %s: %w", key, err)
	}
	return nil
}

// defaultContainerAnnotation names the container that is meant when none is
// said.
const defaultContainerAnnotation = "kubectl.kubernetes.io/default-container"

// defaultContainer is the annotated one, or else the first, of which the
// person is told.
func (a *App) defaultContainer(ctx context.Context, client *api.Client, key pod.Key) (string, error) {
	p, err := client.Pod(ctx, key)
	if err != nil {
		return "", err
	}
	names := containers(p)
	if name := p.Annotations[defaultContainerAnnotation]; slices.Contains(names, name) {
		return name, nil
	}
	first := p.Spec.Containers[0].Name
	if len(names) > 1 {
		fmt.Fprintf(a.Err, "Defaulted container %q out of: %s\n", first, strings.Join(described(p), ", "))
	}
	return first, nil
}

// containers lists a pod's containers, init containers last as in kubectl.
func containers(p *corev1.Pod) []string {
	var names []string
	for _, c := range p.Spec.Containers {
		names = append(names, c.Name)
	}
	for _, c := range p.Spec.InitContainers {
		names = append(names, c.Name)
	}
	return names
}

func described(p *corev1.Pod) []string {
	names := containers(p)
	for i := range names {
		if role := pod.RoleOf(p, names[i]); role == pod.RoleInit || role == pod.RoleSidecar {
			names[i] += " (init)"
		}
	}
	return names
}
