package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/printer"
	"github.com/podstead/podstead/pod"
)

func (a *App) rolloutCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "rollout",
		Short: "Follow and steer the rollouts of workloads",
		Long: "Follow and steer the rollouts of deployments and daemonsets.\n\n" +
			"What is changed against the manifest is shown as drift, and holds until the manifest changes or until\n" +
			"'podstead rollout reset'.",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("rollout has no %q: it has status, history, undo, pause, resume, restart and reset", args[0])
			}
			return c.Help()
		},
	}
	c.AddCommand(
		a.rolloutStatusCommand(), a.rolloutHistoryCommand(), a.rolloutUndoCommand(),
		a.rolloutVerb(pod.RolloutPause, "Hold rollouts of a deployment: only the number of its pods is kept"),
		a.rolloutVerb(pod.RolloutResume, "Let rollouts of a deployment go on"),
		a.rolloutVerb(pod.RolloutRestart, "Replace all pods by new ones of the same template; a revision that failed is tried once more"),
		a.rolloutVerb(pod.RolloutReset, "Take back what the command line changed against the manifest"),
	)
	return c
}

// rolloutVerb is a command that takes nothing but workloads.
func (a *App) rolloutVerb(verb pod.RolloutVerb, short string) *cobra.Command {
	s := &scope{}
	of := rolled
	if verb == pod.RolloutPause || verb == pod.RolloutResume {
		of = rolled[:1]
	}
	c := &cobra.Command{
		Use:     string(verb) + " TYPE/NAME...",
		Short:   short,
		Example: "  podstead rollout " + string(verb) + " deployment/web",
		RunE: func(c *cobra.Command, args []string) error {
			return a.command(c.Context(), s, args, of, pod.RolloutCommand{Verb: verb})
		},
		ValidArgsFunction: a.completeTyped(s, of),
	}
	s.name(c)
	a.completeFlags(c, "namespace", a.completeNamespaces)
	return c
}

// command asks podstead to carry out a command on workloads, one after the
// other.
func (a *App) command(ctx context.Context, s *scope, args []string, of []pod.Kind, command pod.RolloutCommand) error {
	keys, err := s.workloadArgs(args, of)
	if err != nil {
		return err
	}
	client := a.client()
	defer client.Close()
	var failed error
	for _, k := range keys {
		done, err := client.Rollout(ctx, k, command)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		if err := a.say(k, done); err != nil {
			return err
		}
	}
	return failed
}

func (a *App) rolloutUndoCommand() *cobra.Command {
	s := &scope{}
	var revision int64
	c := &cobra.Command{
		Use:     "undo TYPE/NAME...",
		Short:   "Go back to an earlier revision",
		Long:    "Go back to an earlier revision: the latest one before this that did not fail, or the one of --to-revision.",
		Example: "  podstead rollout undo deployment/web\n  podstead rollout undo daemonset/agent --to-revision=3",
		RunE: func(c *cobra.Command, args []string) error {
			if revision < 0 {
				return fmt.Errorf("--to-revision: got %d, want the number of a revision ('podstead rollout history' lists them), or 0 for the one before", revision)
			}
			return a.command(c.Context(), s, args, rolled[:2], pod.RolloutCommand{Verb: pod.RolloutUndo, Revision: revision})
		},
		ValidArgsFunction: a.completeTyped(s, rolled[:2]),
	}
	s.name(c)
	c.Flags().Int64Var(&revision, "to-revision", 0, "the revision to go to; 0 for the one before")
	a.completeFlags(c, "namespace", a.completeNamespaces)
	return c
}

func (a *App) scaleCommand() *cobra.Command {
	s := &scope{}
	var replicas int32
	of := []pod.Kind{pod.KindDeployment, pod.KindReplicaSet}
	c := &cobra.Command{
		Use:     "scale --replicas=COUNT TYPE/NAME...",
		Short:   "Change the number of pods of a deployment or replicaset",
		Long:    "Change the number of pods of a deployment or replicaset, until its manifest changes or 'podstead rollout reset'.",
		Example: "  podstead scale --replicas=3 deployment/web",
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case !c.Flags().Changed("replicas"):
				return errors.New("--replicas is missing: the number of pods")
			case replicas < 0:
				return fmt.Errorf("--replicas: got %d, want 0 or more", replicas)
			}
			return a.command(c.Context(), s, args, of, pod.RolloutCommand{Verb: pod.Scale, Replicas: replicas})
		},
		ValidArgsFunction: a.completeTyped(s, of),
	}
	s.name(c)
	c.Flags().Int32Var(&replicas, "replicas", 0, "the number of pods")
	a.completeFlags(c, "namespace", a.completeNamespaces)
	return c
}

func (a *App) rolloutHistoryCommand() *cobra.Command {
	s := &scope{}
	var revision int64
	var output string
	c := &cobra.Command{
		Use:     "history TYPE/NAME",
		Short:   "List the revisions of a workload, or show one of them",
		Example: "  podstead rollout history deployment/web\n  podstead rollout history deployment/web --revision=3",
		RunE: func(c *cobra.Command, args []string) error {
			keys, err := s.workloadArgs(args, rolled[:2])
			if err != nil {
				return err
			}
			if output != "" && output != "json" && output != "yaml" {
				return fmt.Errorf("--output: got %q, want json or yaml", output)
			}
			for _, k := range keys {
				if err := a.history(c.Context(), k, revision, output); err != nil {
					return err
				}
			}
			return nil
		},
		ValidArgsFunction: a.completeTyped(s, rolled[:2]),
	}
	s.name(c)
	c.Flags().Int64Var(&revision, "revision", 0, "show this revision: its template, and why it failed")
	c.Flags().StringVarP(&output, "output", "o", "", "json or yaml")
	a.completeFlags(c, "namespace", a.completeNamespaces)
	return c
}

func (a *App) history(ctx context.Context, k pod.ObjectKey, revision int64, output string) error {
	client := a.client()
	defer client.Close()
	w, err := client.Workload(ctx, k)
	if err != nil {
		return err
	}
	if revision != 0 {
		return a.oneRevision(w, revision, output)
	}
	if output != "" {
		return a.marshalled(listOf(w.Revisions, metav1.ListMeta{}), output)
	}
	fmt.Fprintf(a.Out, "%s \n", printer.QualifiedKey(k))
	var rows [][]string
	for i := range w.Revisions {
		rows = append(rows, printer.HistoryRow(w, &w.Revisions[i], a.Now()))
	}
	if err := printer.NewTable(a.Out, printer.HistoryHeader()).Write(rows); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.Out)
	return err
}

func (a *App) oneRevision(w *api.Workload, number int64, output string) error {
	i := slices.IndexFunc(w.Revisions, func(r pod.RevisionView) bool { return r.Number == number })
	if i < 0 {
		var known []string
		for _, r := range w.Revisions {
			known = append(known, fmt.Sprint(r.Number))
		}
		return fmt.Errorf("unable to find the specified revision: %s has no revision %d, but %s", printer.QualifiedKey(w.ObjectKey), number, strings.Join(known, ", "))
	}
	if output != "" {
		return a.marshalled(w.Revisions[i], output)
	}
	fmt.Fprintf(a.Out, "%s with revision #%d\n", printer.QualifiedKey(w.ObjectKey), number)
	return printer.DescribeRevision(a.Out, &w.Revisions[i], a.Now())
}

func (a *App) marshalled(v any, format string) error {
	text, err := marshal(v, format)
	if err != nil {
		return err
	}
	_, err = a.Out.Write(text)
	return err
}
