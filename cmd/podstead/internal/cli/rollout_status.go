package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/printer"
	"github.com/podstead/podstead/pod"
)

// statusFlags are the flags of rollout status.
type statusFlags struct {
	scope
	watch   bool
	timeout time.Duration
}

func (a *App) rolloutStatusCommand() *cobra.Command {
	f := &statusFlags{}
	c := &cobra.Command{
		Use:   "status TYPE/NAME",
		Short: "Follow a rollout until it is done",
		Long: "Follow a rollout until it is done. The exit code is 0 then, and 1 when it failed: the revision's last log lines,\n" +
			"exit codes, probe errors and events are shown, and what runs instead.",
		Example: "  podstead rollout status deployment/web --timeout=5m\n  podstead rollout status deployment/web --watch=false",
		RunE: func(c *cobra.Command, args []string) error {
			keys, err := f.workloadArgs(args, rolled[:2])
			if err != nil {
				return err
			}
			if len(keys) != 1 {
				return fmt.Errorf("got %d workloads, want one", len(keys))
			}
			return a.rolloutStatus(c.Context(), f, keys[0])
		},
		ValidArgsFunction: a.completeTyped(&f.scope, rolled[:2]),
	}
	f.name(c)
	c.Flags().BoolVarP(&f.watch, "watch", "w", true, "wait for the end; without, only tell how it is")
	c.Flags().DurationVar(&f.timeout, "timeout", 0, "how long to wait, such as 5m; 0 for without end")
	a.completeFlags(c, "namespace", a.completeNamespaces)
	return c
}

// readTime is within what podstead reads a file that was written, and decides.
const readTime = 500 * time.Millisecond

func (a *App) rolloutStatus(ctx context.Context, f *statusFlags, k pod.ObjectKey) error {
	client := a.client()
	defer client.Close()
	w, err := client.Workload(ctx, k)
	if err != nil {
		return err
	}
	if !f.watch {
		_, err := a.tellRollout(w, "")
		return err
	}
	waiting := ctx
	if f.timeout > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	if p := progressOf(w); p.done || p.failed != "" {
		// It may be of a manifest that was just replaced.
		select {
		case <-waiting.Done():
		case <-time.After(readTime):
		}
	}
	done, said := errors.New("done"), ""
	err = client.WatchWorkload(waiting, k, func(e watch.EventType, w *api.Workload) error {
		if e == watch.Deleted {
			return fmt.Errorf("%s has been deleted", printer.QualifiedKey(k))
		}
		var err error
		if said, err = a.tellRollout(w, said); err != nil {
			return err
		}
		if p := progressOf(w); p.done {
			return done
		}
		return nil
	})
	switch {
	case errors.Is(err, done):
		return nil
	case ctx.Err() != nil:
		return errors.New("interrupted before the rollout was done")
	case waiting.Err() != nil:
		return errors.New("timed out waiting for the condition")
	}
	return err
}

// tellRollout says how a rollout goes, unless that was said last; it returns
// what was said. A rollout that failed is an error.
func (a *App) tellRollout(w *api.Workload, said string) (string, error) {
	p := progressOf(w)
	if p.text != said && p.text != "" {
		fmt.Fprintln(a.Out, printer.Clean(p.text))
	}
	if p.failed == "" {
		return p.text, nil
	}
	if failed := w.View().Failed(); failed != nil {
		if err := printer.Failure(a.Out, failed, a.Now()); err != nil {
			return p.text, err
		}
	}
	return p.text, errors.New(p.failed)
}

// progress is how a rollout goes, in kubectl's words.
type progress struct {
	text string
	done bool
	// failed is why it does not go on; empty if it does.
	failed string
}

func progressOf(w *api.Workload) progress {
	name := fmt.Sprintf("deployment %q", w.Name)
	if w.DaemonSet != nil {
		name = fmt.Sprintf("daemon set %q", w.Name)
	}
	failed, view := w.View().Failed(), w.View()
	switch {
	case failed != nil && view.RolledBack():
		return progress{failed: fmt.Sprintf("%s was rolled back to revision %d: revision %d failed: %s", name, w.Revision, failed.Number, failed.Failure.Message)}
	case failed != nil && goesBack(view):
		return progress{text: fmt.Sprintf("Waiting for %s to be rolled back: revision %d failed...", name, failed.Number)}
	case failed != nil:
		return progress{failed: fmt.Sprintf("%s failed: revision %d: %s", name, failed.Number, failed.Failure.Message)}
	case w.Elsewhere != "":
		return progress{text: fmt.Sprintf("%s does not run on this server: %s", name, w.Elsewhere), done: true}
	case w.Deployment != nil:
		return deploymentProgress(w, name)
	case w.DaemonSet != nil:
		return daemonSetProgress(w, name)
	}
	return progress{failed: name + " has no rollouts"}
}

// goesBack tells whether a failed revision is going to be replaced.
func goesBack(v *pod.WorkloadView) bool {
	return pod.AutoRollback(v.Meta().Annotations) && slices.ContainsFunc(v.Revisions, func(r pod.RevisionView) bool { return r.Good })
}

func deploymentProgress(w *api.Workload, name string) progress {
	st := &w.Deployment.Status
	for _, c := range st.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse && c.Reason == "ProgressDeadlineExceeded" {
			return progress{failed: fmt.Sprintf("%s exceeded its progress deadline: %s", name, c.Message)}
		}
	}
	wait := waitFor(w, name)
	switch {
	case st.ObservedGeneration < w.Deployment.Generation || w.Revision == 0 && w.Replicas > 0:
		return progress{text: "Waiting for deployment spec update to be observed..."}
	case w.Held != "":
		return wait(w.Held)
	case st.UpdatedReplicas < w.Replicas:
		return wait(fmt.Sprintf("%d out of %d new replicas have been updated", st.UpdatedReplicas, w.Replicas))
	case st.Replicas > st.UpdatedReplicas:
		return wait(fmt.Sprintf("%d old replicas are pending termination", st.Replicas-st.UpdatedReplicas))
	case st.AvailableReplicas < st.UpdatedReplicas:
		return wait(fmt.Sprintf("%d of %d updated replicas are available", st.AvailableReplicas, st.UpdatedReplicas))
	}
	return rolledOut(w, name)
}

func daemonSetProgress(w *api.Workload, name string) progress {
	st := &w.DaemonSet.Status
	if kind := w.DaemonSet.Spec.UpdateStrategy.Type; kind != "" && kind != appsv1.RollingUpdateDaemonSetStrategyType {
		return progress{failed: fmt.Sprintf("rollout status is only available for %s strategy type", appsv1.RollingUpdateDaemonSetStrategyType)}
	}
	wait := waitFor(w, name)
	switch {
	case st.ObservedGeneration < w.DaemonSet.Generation:
		return progress{text: "Waiting for daemon set spec update to be observed..."}
	case w.Held != "":
		return wait(w.Held)
	case st.UpdatedNumberScheduled < st.DesiredNumberScheduled:
		return wait(fmt.Sprintf("%d out of %d new pods have been updated", st.UpdatedNumberScheduled, st.DesiredNumberScheduled))
	case st.NumberAvailable < st.DesiredNumberScheduled:
		return wait(fmt.Sprintf("%d of %d updated pods are available", st.NumberAvailable, st.DesiredNumberScheduled))
	}
	return rolledOut(w, name)
}

// waitFor words what a rollout waits for.
func waitFor(w *api.Workload, name string) func(what string) progress {
	return func(what string) progress {
		text := fmt.Sprintf("Waiting for %s rollout to finish: %s...", name, what)
		if w.Paused {
			text += " (rollouts are paused)"
		}
		return progress{text: text}
	}
}

func rolledOut(w *api.Workload, name string) progress {
	text := name + " successfully rolled out"
	if len(w.Drift) > 0 {
		text += "\nThe manifest says otherwise: " + strings.Join(w.Drift, "; ") + " ('podstead rollout reset' takes that back)"
	}
	return progress{text: text, done: true}
}
