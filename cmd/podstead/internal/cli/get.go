package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/yaml"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/printer"
	"github.com/podstead/podstead/pod"
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
		Use:   "get TYPE[,TYPE...] [NAME...]",
		Short: "List objects, or show some of them",
		Long: "List objects, or show some of them.\n\nTypes are pods (po), deployments (deploy), replicasets (rs), daemonsets (ds), services (svc),\n" +
			"endpointslices, nodes (no), events (ev), and all for everything but the last three.",
		Example: "  podstead get pods -A\n  podstead get pods -l app=web -o wide -w\n" +
			"  podstead get deployment web -o yaml\n  podstead get all",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("the type of what to get is missing: podstead get TYPE [NAME...]")
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
			list, several, err := targets(args)
			if err != nil {
				return err
			}
			return a.get(c.Context(), f, list, several)
		},
		ValidArgsFunction: a.completeKinds(&f.scope, "all", "nodes", "events"),
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

func (a *App) get(ctx context.Context, f *getFlags, list []target, several bool) error {
	watching := f.watch || f.watchOnly
	switch {
	case f.all && slices.ContainsFunc(list, func(t target) bool { return len(t.names) > 0 }):
		return errors.New("nothing can be asked for by name across all namespaces: use -n NAMESPACE")
	case watching && len(list) > 1:
		return errors.New("only one type can be watched at a time")
	}
	client := a.client()
	defer client.Close()
	out := a.objectOutput(f, several)
	var found []kindList
	var missing error
	for _, t := range list {
		objects, gone, err := objectsOf(ctx, client, f, t)
		if err != nil {
			return err
		}
		missing = errors.Join(missing, gone)
		found = append(found, kindList{t, objects})
	}
	if !f.watchOnly {
		if err := out.lists(found); err != nil {
			return err
		}
	}
	if missing != nil || !watching {
		return missing
	}
	options := f.options()
	options.ResourceVersion = found[0].list.ResourceVersion
	names := list[0].names
	return client.WatchObjects(ctx, list[0].kind, options, func(_ watch.EventType, o api.Object) error {
		if len(names) > 0 && !slices.Contains(names, o.GetName()) {
			return nil
		}
		return out.change(list[0].kind, o)
	})
}

// kindList is what was found for a target.
type kindList struct {
	target
	list *api.ObjectList
}

// objectsOf lists what is asked for; missing tells of names that there are
// not.
func objectsOf(ctx context.Context, client *api.Client, f *getFlags, t target) (list *api.ObjectList, missing, err error) {
	list, err = client.Objects(ctx, t.kind, f.options())
	if err != nil || len(t.names) == 0 {
		return list, nil, err
	}
	list.Items = nil
	for _, name := range t.names {
		o, err := client.Object(ctx, pod.ObjectKey{Kind: t.kind, Key: f.key(name)})
		if err != nil && f.noMatter && apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			missing = errors.Join(missing, err)
			continue
		}
		list.Items = append(list.Items, o)
	}
	return list, missing, nil
}

// objectOutput writes objects in one of the formats.
type objectOutput struct {
	app     *App
	flags   *getFlags
	columns printer.Columns
	table   *printer.Table
}

func (a *App) objectOutput(f *getFlags, several bool) *objectOutput {
	return &objectOutput{app: a, flags: f,
		columns: printer.Columns{Namespace: f.all, Wide: f.output == "wide", Labels: f.showLabels, LabelsOf: f.labelsOf, Types: several}}
}

// lists writes what was found, each kind by itself.
func (o *objectOutput) lists(found []kindList) error {
	var all []api.Object
	named := 0
	for _, k := range found {
		all = append(all, k.list.Items...)
		named += len(k.names)
	}
	switch {
	case len(all) == 0 && named > 0:
		return nil
	case o.flags.output == "json" || o.flags.output == "yaml":
		if len(all) == 1 && named == 1 {
			return o.object(all[0])
		}
		return o.object(listOf(all, found[0].list.ListMeta))
	case len(all) == 0 && o.flags.output != "name":
		_, err := fmt.Fprintln(o.app.Err, o.flags.nothing())
		return err
	}
	return o.tables(found)
}

// listOf is a list as kubectl writes it, whatever is in it.
func listOf[T any](items []T, meta metav1.ListMeta) any {
	if items == nil {
		items = []T{}
	}
	return struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metav1.ListMeta `json:"metadata"`
		Items           []T             `json:"items"`
	}{metav1.TypeMeta{Kind: "List", APIVersion: "v1"}, meta, items}
}

// tables writes a table for each kind of which there is something.
func (o *objectOutput) tables(found []kindList) error {
	for _, k := range found {
		if len(k.list.Items) == 0 {
			continue
		}
		if o.table != nil {
			if o.flags.output != "name" {
				fmt.Fprintln(o.app.Out)
			}
			o.table = nil
		}
		if err := o.change(k.kind, k.list.Items...); err != nil {
			return err
		}
	}
	return nil
}

// change writes objects of a kind.
func (o *objectOutput) change(k pod.Kind, objects ...api.Object) error {
	if o.table == nil {
		var header []string
		if !o.flags.noHeaders {
			header = printer.Header(k, o.columns)
		}
		o.table = printer.NewTable(o.app.Out, header)
	}
	var rows [][]string
	for _, object := range objects {
		switch o.flags.output {
		case "json", "yaml":
			if err := o.object(object); err != nil {
				return err
			}
		case "name":
			if _, err := fmt.Fprintln(o.app.Out, printer.QualifiedName(object)); err != nil {
				return err
			}
		default:
			rows = append(rows, printer.Row(object, o.columns, o.app.Now()))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return o.table.Write(rows)
}

// object writes anything as JSON, or as a YAML document.
func (o *objectOutput) object(v any) error {
	text, err := marshal(v, o.flags.output)
	if err != nil {
		return err
	}
	if o.flags.output == "yaml" && (o.flags.watch || o.flags.watchOnly) {
		text = append([]byte("---\n"), text...)
	}
	_, err = o.app.Out.Write(text)
	return err
}

// marshal writes anything as json or yaml.
func marshal(v any, format string) ([]byte, error) {
	if format == "json" {
		var text bytes.Buffer
		out := json.NewEncoder(&text)
		out.SetIndent("", "    ")
		err := out.Encode(v)
		return text.Bytes(), err
	}
	text, err := yaml.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write as YAML: %w", err)
	}
	return text, nil
}
