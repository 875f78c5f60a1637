package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/podstead/podstead/cmd/podstead/internal/intake"
	"github.com/podstead/podstead/cmd/podstead/internal/printer"
	"github.com/podstead/podstead/manifest/policy"
	"github.com/podstead/podstead/pod"
)

// Exit codes of diff, as kubectl's.
const (
	exitDiffers    = 1
	exitDiffFailed = 2
)

func (a *App) diffCommand() *cobra.Command {
	var files []string
	c := &cobra.Command{
		Use:   "diff -f FILE|DIR...",
		Short: "Tell what manifests would change, and how, without changing it",
		Long: "Tell what would change if manifests replaced those of the same objects: the fields, and what would be done\n" +
			"to running pods and why in this way. Defaults are filled in on both sides.\n\n" +
			"The exit code is 0 if nothing would change, 1 if something would, and 2 if that can't be told.",
		Example: "  podstead diff -f web.yaml\n  cat web.yaml | podstead diff -f -",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			changed, err := a.diff(c.Context(), files)
			switch {
			case err != nil && !errors.Is(err, exitStatus(exitDiffFailed)):
				fmt.Fprintln(a.Err, message(err))
				fallthrough
			case err != nil:
				return exitStatus(exitDiffFailed)
			case changed:
				return exitStatus(exitDiffers)
			}
			return nil
		},
	}
	c.Flags().StringSliceVarP(&files, "filename", "f", nil, "manifests, or folders of them; - for the standard input")
	return c
}

func (a *App) diff(ctx context.Context, files []string) (changed bool, err error) {
	if len(files) == 0 {
		return false, errors.New("nothing to compare: name manifests with -f FILE")
	}
	objects, err := a.parse(files)
	if err != nil {
		return false, err
	}
	client := a.client()
	defer client.Close()
	changes, err := client.Diff(ctx, objects)
	if err != nil {
		return false, err
	}
	var problems []pod.Problem
	for i := range changes {
		problems = append(problems, changes[i].Problems...)
	}
	if len(problems) > 0 {
		for _, p := range problems {
			fmt.Fprintf(a.Err, "%s\n  %s\n", printer.Clean(p.String()), printer.Clean(p.Consequence))
		}
		return false, exitStatus(exitDiffFailed)
	}
	for i := range changes {
		differs, err := a.showChange(&changes[i], changed)
		if err != nil {
			return false, err
		}
		changed = changed || differs
	}
	return changed, nil
}

// parse reads manifests as a source would; what is wrong with them is written
// as check does.
func (a *App) parse(paths []string) ([]pod.Object, error) {
	// What the source of the manifests refuses is known to podstead.
	level := policy.Level{PodSecurity: "privileged"}
	files, problems := a.readManifests(paths)
	problems = append(problems, intake.Check(files, level)...)
	for _, p := range problems {
		fmt.Fprintln(a.Err, printer.Clean(p.String()))
	}
	if slices.ContainsFunc(problems, func(p pod.Problem) bool { return p.Severity == pod.Error }) {
		return nil, exitStatus(exitDiffFailed)
	}
	var objects []pod.Object
	parse := intake.Parser(0, level)
	for _, f := range files {
		parsed := parse(f.Data, pod.Origin{File: f.Name})
		objects = append(objects, parsed.All()...)
	}
	return objects, nil
}

// showChange writes what would change of one object; differs is false where
// that is nothing. What would be done stands before the fields, behind #, so
// that the whole is a patch still.
func (a *App) showChange(c *pod.Change, after bool) (differs bool, err error) {
	if c.Verb == "unchanged" {
		return false, nil
	}
	before, err := yamlOf(c.Before)
	if err != nil {
		return false, err
	}
	then, err := yamlOf(c.After)
	if err != nil {
		return false, err
	}
	name := fmt.Sprintf("%s %s", c.Kind.APIVersion(), c.ObjectKey)
	if c.Kind == pod.KindPod {
		name = fmt.Sprintf("%s Pod %s", c.Kind.APIVersion(), c.Key)
	}
	if after {
		fmt.Fprintln(a.Out)
	}
	fmt.Fprintf(a.Out, "# %s would be %s\n", name, c.Verb)
	for _, line := range c.Plan {
		fmt.Fprintf(a.Out, "# %s\n", printer.Clean(line))
	}
	_, err = a.Out.Write(diff.Diff("now: "+name, before, "then: "+name, then))
	return true, err
}

// yamlOf writes a manifest, without its status.
func yamlOf(o *pod.Object) ([]byte, error) {
	if o == nil || o.Content() == nil {
		return nil, nil
	}
	text, err := json.Marshal(o.Content())
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", o.ObjectKey, err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, fmt.Errorf("write %s: %w", o.ObjectKey, err)
	}
	delete(fields, "status")
	fields["kind"], fields["apiVersion"] = o.Kind, o.Kind.APIVersion()
	return yaml.Marshal(fields)
}
