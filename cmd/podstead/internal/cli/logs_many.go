package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/pod"
)

// selectedTail is how many lines of each log are shown when pods are selected
// by labels, as in kubectl.
const selectedTail = 10

// logTarget is one log that is shown.
type logTarget struct {
	key       pod.Key
	container string
}

// targets finds the logs that are asked for. name is empty when pods are
// selected by labels.
func (a *App) targets(ctx context.Context, client *api.Client, f *logFlags, name string) ([]logTarget, error) {
	if name != "" && !f.allContainers {
		container := f.Container
		if container == "" {
			var err error
			if container, err = a.defaultContainer(ctx, client, f.key(name)); err != nil {
				return nil, err
			}
		}
		return []logTarget{{f.key(name), container}}, nil
	}
	list, err := logPods(ctx, client, f, name)
	if err != nil {
		return nil, err
	}
	var targets []logTarget
	for i := range list {
		p := &list[i]
		names := []string{f.Container}
		switch {
		case f.allContainers:
			names = startOrder(p)
		case f.Container == "":
			names = []string{a.chooseContainer(p)}
		}
		for _, n := range names {
			targets = append(targets, logTarget{pod.Key{Namespace: p.Namespace, Name: p.Name}, n})
		}
	}
	return targets, nil
}

func logPods(ctx context.Context, client *api.Client, f *logFlags, name string) ([]corev1.Pod, error) {
	if name == "" {
		list, err := client.Pods(ctx, f.options())
		if err != nil {
			return nil, err
		}
		return list.Items, nil
	}
	p, err := client.Pod(ctx, f.key(name))
	if err != nil {
		return nil, err
	}
	return []corev1.Pod{*p}, nil
}

// startOrder lists a pod's containers, init containers first.
func startOrder(p *corev1.Pod) []string {
	names := containers(p)
	apps := len(p.Spec.Containers)
	return append(names[apps:len(names):len(names)], names[:apps]...)
}

// showLogs writes logs one after the other, or, when they are followed, line
// by line as they come.
func (a *App) showLogs(ctx context.Context, client *api.Client, f *logFlags, targets []logTarget) error {
	out := &lineWriter{to: a.Out}
	if !f.Follow || len(targets) == 1 {
		out.alone = true
		for _, t := range targets {
			if err := showLog(ctx, client, f, t, out); err != nil {
				return err
			}
		}
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range targets {
		group.Go(func() error { return showLog(ctx, client, f, t, out) })
	}
	return group.Wait()
}

func showLog(ctx context.Context, client *api.Client, f *logFlags, t logTarget, out *lineWriter) error {
	o := f.LogOptions
	o.Container = t.container
	in, err := client.Logs(ctx, t.key, o)
	if err != nil {
		return err
	}
	defer in.Close()
	prefix := ""
	if f.prefix {
		prefix = fmt.Sprintf("[pod/%s/%s] ", t.key.Name, t.container)
	}
	if err := out.copy(prefix, in); err != nil && ctx.Err() == nil {
		return fmt.Errorf("read the log of pod %s: %w", t.key, err)
	}
	return nil
}

// lineWriter writes several logs line by line; one that is alone for the time
// being is written as it comes unless it needs a prefix.
type lineWriter struct {
	mu    sync.Mutex
	to    io.Writer
	alone bool
}

func (w *lineWriter) copy(prefix string, from io.Reader) error {
	if w.alone && prefix == "" {
		_, err := io.Copy(w.to, from)
		return err
	}
	in := bufio.NewReader(from)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			if err := w.write(prefix + line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (w *lineWriter) write(line string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := io.WriteString(w.to, line)
	return err
}
