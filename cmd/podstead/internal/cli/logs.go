package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/pod"
)

// logFlags are the flags of logs.
type logFlags struct {
	scope
	api.LogOptions
	allContainers bool
	prefix        bool
	tail          int64
	sinceTime     string
}

func (a *App) logsCommand() *cobra.Command {
	f := &logFlags{}
	c := &cobra.Command{
		Use:   "logs POD|TYPE/NAME [-c CONTAINER]",
		Short: "Show the log of a container, or the logs of several",
		Example: "  podstead logs -f web\n  podstead logs -p --tail 20 web -c app\n" +
			"  podstead logs web --all-containers --prefix\n  podstead logs -f -l app=web\n  podstead logs deploy/web",
		Args: cobra.MaximumNArgs(3),
		RunE: func(c *cobra.Command, args []string) error {
			ref, err := f.take(args)
			if err != nil {
				return err
			}
			return a.logs(c.Context(), f, ref)
		},
		ValidArgsFunction: a.completePods(&f.scope),
	}
	f.name(c)
	c.Flags().StringVarP(&f.labels, "selector", "l", "", "the pods with these labels, such as app=web; of each log the last ten lines unless --tail is set")
	c.Flags().StringVarP(&f.Container, "container", "c", "", "the container, when the pod has several")
	c.Flags().BoolVar(&f.allContainers, "all-containers", false, "the logs of all containers")
	c.Flags().BoolVar(&f.prefix, "prefix", false, "put pod and container before each line")
	c.Flags().BoolVarP(&f.Follow, "follow", "f", false, "go on with new lines, also after a rotation or a restart of the container")
	c.Flags().BoolVarP(&f.Previous, "previous", "p", false, "the log of the run before this one")
	c.Flags().Int64Var(&f.tail, "tail", -1, "how many lines from the end; -1 for all")
	c.Flags().DurationVar(&f.Since, "since", 0, "only lines that are newer than this, such as 5s, 2m or 3h")
	c.Flags().StringVar(&f.sinceTime, "since-time", "", "only lines after this time (RFC 3339)")
	c.Flags().BoolVar(&f.Timestamps, "timestamps", false, "put the time before each line")
	c.Flags().Int64Var(&f.LimitBytes, "limit-bytes", 0, "how many bytes at most")
	c.PreRun = func(c *cobra.Command, _ []string) {
		if f.labels != "" && !c.Flags().Changed("tail") {
			f.tail = selectedTail
		}
	}
	a.completeFlags(c, "namespace", a.completeNamespaces)
	a.completeFlags(c, "container", a.completeContainers(&f.scope))
	return c
}

// take reads the arguments and the flags that need it, and returns the pod, or
// whose pod it is; its name is empty when pods are selected by labels.
func (f *logFlags) take(args []string) (ref pod.ObjectKey, err error) {
	switch {
	case len(args) > 0 && f.labels != "":
		return ref, fmt.Errorf("got the pod %q beside --selector, want one of the two", args)
	case f.labels == "":
		var rest []string
		if ref, rest, err = podRefArg(args); err != nil {
			return ref, err
		}
		if len(rest) > 0 && f.Container == "" {
			f.Container = rest[0]
		}
	}
	if f.allContainers && f.Container != "" {
		return ref, fmt.Errorf("got the container %q beside --all-containers, want one of the two", f.Container)
	}
	if f.tail >= 0 {
		f.TailLines = &f.tail
	}
	if f.sinceTime != "" {
		if f.SinceTime, err = time.Parse(time.RFC3339, f.sinceTime); err != nil {
			return ref, fmt.Errorf("--since-time: got %q, want a time such as 2026-01-02T15:04:05Z", f.sinceTime)
		}
	}
	return ref, nil
}

func (a *App) logs(ctx context.Context, f *logFlags, ref pod.ObjectKey) error {
	client := a.client()
	defer client.Close()
	name := ref.Name
	if ref.Name != "" && ref.Kind != pod.KindPod {
		p, of, err := a.podOf(ctx, client, &f.scope, ref)
		if err != nil {
			return err
		}
		if name = p.Name; of > 1 {
			fmt.Fprintf(a.Err, "Found %d pods, using pod/%s\n", of, name)
		}
	}
	targets, err := a.targets(ctx, client, f, name)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		_, err := fmt.Fprintln(a.Err, f.nothing())
		return err
	}
	return a.showLogs(ctx, client, f, targets)
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
	return a.chooseContainer(p), nil
}

func (a *App) chooseContainer(p *corev1.Pod) string {
	names := containers(p)
	if name := p.Annotations[defaultContainerAnnotation]; slices.Contains(names, name) {
		return name
	}
	first := p.Spec.Containers[0].Name
	if len(names) > 1 {
		fmt.Fprintf(a.Err, "Defaulted container %q out of: %s\n", first, strings.Join(described(p), ", "))
	}
	return first
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
