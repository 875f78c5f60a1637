package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/yaml"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/printer"
)

// getFlags are the flags of get.
type getFlags struct {
	scope
	output     string
	watch      bool
	watchOnly  bool
	noHeaders  bool
	showLabels bool
	labelsOf   []string
	noMatter   bool // a name that there is not is no error
}

var outputs = []string{"wide", "json", "yaml", "name"}

func (a *App) getCommand() *cobra.Command {
	f := &getFlags{}
	c := &cobra.Command{
		Use:   "get pods|nodes [NAME...]",
		Short: "List pods, or show some of them, or the node",
		Example: "  podstead get pods -A\n  podstead get pods -l app=web -o wide -w\n" +
			"  podstead get pod web -o yaml",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("the type of what to get is missing: podstead get pods [NAME...]")
			}
			if isEvents(args[0]) {
				return a.getEvents(c.Context(), f, args)
			}
			if f.output != "" && !slices.Contains(outputs, f.output) {
				return fmt.Errorf("--output: got %q, want %s", f.output, strings.Join(outputs, ", "))
			}
			if name, is, err := nodeArgs(args); is {
				if err != nil {
					return err
				}
				return a.getNode(c.Context(), f, name)
			}
			names, err := getArgs(args)
			if err != nil {
				return err
			}
			return a.get(c.Context(), f, names)
		},
		ValidArgsFunction: a.completeGet(f),
	}
	f.several(c)
	c.Flags().StringVarP(&f.output, "output", "o", "", "wide, json, yaml or name")
	c.Flags().BoolVarP(&f.watch, "watch", "w", false, "after listing, show changes as they come")
	c.Flags().BoolVar(&f.watchOnly, "watch-only", false, "show changes as they come, without listing first")
	c.Flags().BoolVar(&f.noHeaders, "no-headers", false, "leave out the headings")
	c.Flags().BoolVar(&f.showLabels, "show-labels", false, "add a column of labels")
	c.Flags().StringSliceVarP(&f.labelsOf, "label-columns", "L", nil, "add a column for each of these labels")
	c.Flags().BoolVar(&f.noMatter, "ignore-not-found", false, "a name that there is not is no error")
	a.completeFlags(c, "namespace", a.completeNamespaces)
	a.completeFlags(c, "output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// completeFlags registers what is offered for a flag; the flag is there, so
// it can't fail.
func (a *App) completeFlags(c *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err)
	}
}

func (a *App) completeGet(f *getFlags) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return []string{"pods", "nodes"}, cobra.ShellCompDirectiveNoFileComp
		}
		return a.completePods(&f.scope)(c, []string{"pods"}, word)
	}
}

// getArgs takes "pods [NAME...]" and "pod/NAME...". Pods are all that there is.
func getArgs(args []string) ([]string, error) {
	if isPods(args[0]) || args[0] == "all" && len(args) == 1 {
		return args[1:], nil
	}
	var names []string
	for _, arg := range args {
		if !strings.Contains(arg, "/") {
			return nil, fmt.Errorf("there is nothing of the type %q: podstead has pods and a node ('podstead events' and 'podstead status' show the rest)", arg)
		}
		name, err := podName(arg)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

func (a *App) get(ctx context.Context, f *getFlags, names []string) error {
	if f.all && len(names) > 0 {
		return errors.New("a pod can't be asked for by name across all namespaces: use -n NAMESPACE")
	}
	client := a.client()
	defer client.Close()
	options := f.options()
	list, missing, err := pods(ctx, client, f, options, names)
	if err != nil {
		return err
	}
	options.ResourceVersion = list.ResourceVersion
	out := a.podOutput(f, len(names) == 1)
	if !f.watchOnly && (len(list.Items) > 0 || len(names) == 0) {
		if err := out.list(list); err != nil {
			return err
		}
	}
	if missing != nil || !f.watch && !f.watchOnly {
		return missing
	}
	return client.WatchPods(ctx, options, func(_ watch.EventType, p *corev1.Pod) error {
		if len(names) > 0 && !slices.Contains(names, p.Name) {
			return nil
		}
		return out.change(p)
	})
}

// pods lists what is asked for; missing tells of names that there are not.
func pods(ctx context.Context, client *api.Client, f *getFlags, options api.ListOptions, names []string) (list *corev1.PodList, missing, err error) {
	list, err = client.Pods(ctx, options)
	if err != nil || len(names) == 0 {
		return list, nil, err
	}
	var items []corev1.Pod
	for _, name := range names {
		p, err := client.Pod(ctx, f.key(name))
		if err != nil && f.noMatter && apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			missing = errors.Join(missing, err)
			continue
		}
		items = append(items, *p)
	}
	list.Items = items
	return list, missing, nil
}

// podOutput writes pods in one of the formats.
type podOutput struct {
	app     *App
	flags   *getFlags
	single  bool
	columns printer.Columns
	table   *printer.Table
}

func (a *App) podOutput(f *getFlags, single bool) *podOutput {
	o := &podOutput{app: a, flags: f, single: single,
		columns: printer.Columns{Namespace: f.all, Wide: f.output == "wide", Labels: f.showLabels, LabelsOf: f.labelsOf}}
	var header []string
	if !f.noHeaders {
		header = printer.PodHeader(o.columns)
	}
	o.table = printer.NewTable(a.Out, header)
	return o
}

func (o *podOutput) list(list *corev1.PodList) error {
	switch o.flags.output {
	case "json", "yaml":
		if o.single {
			return o.object(&list.Items[0])
		}
		all := struct {
			metav1.TypeMeta `json:",inline"`
			Metadata        metav1.ListMeta `json:"metadata"`
			Items           []corev1.Pod    `json:"items"`
		}{metav1.TypeMeta{Kind: "List", APIVersion: "v1"}, list.ListMeta, list.Items}
		return o.object(all)
	case "name":
		for i := range list.Items {
			if err := o.change(&list.Items[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list.Items) == 0 {
		_, err := fmt.Fprintln(o.app.Err, o.flags.nothing())
		return err
	}
	var rows [][]string
	for i := range list.Items {
		rows = append(rows, printer.PodRow(&list.Items[i], o.columns, o.app.Now()))
	}
	return o.table.Write(rows)
}

// change writes one pod.
func (o *podOutput) change(p *corev1.Pod) error {
	switch o.flags.output {
	case "json", "yaml":
		return o.object(p)
	case "name":
		_, err := fmt.Fprintln(o.app.Out, "pod/"+p.Name)
		return err
	}
	return o.table.Write([][]string{printer.PodRow(p, o.columns, o.app.Now())})
}

// object writes anything as JSON, or as a YAML document.
func (o *podOutput) object(v any) error {
	if o.flags.output == "json" {
		out := json.NewEncoder(o.app.Out)
		out.SetIndent("", "    ")
		return out.Encode(v)
	}
	text, err := yaml.Marshal(v)
	if err != nil {
		return fmt.Errorf("write as YAML: %w", err)
	}
	if o.flags.watch || o.flags.watchOnly {
		text = append([]byte("---\n"), text...)
	}
	_, err = o.app.Out.Write(text)
	return err
}
