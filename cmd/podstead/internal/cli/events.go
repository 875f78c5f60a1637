package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/printer"
)

// eventFlags are the flags of events.
type eventFlags struct {
	namespace string
	all       bool
	watch     bool
	about     string
	types     []string
	noHeaders bool
	wide      bool
}

func (a *App) eventsCommand() *cobra.Command {
	f := &eventFlags{}
	c := &cobra.Command{
		Use:     "events",
		Short:   "List what happened lately",
		Example: "  podstead events -A -w\n  podstead events --for pod/web",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.events(c.Context(), f) },
	}
	c.Flags().StringVarP(&f.namespace, "namespace", "n", "default", "the namespace to look in")
	c.Flags().BoolVarP(&f.all, "all-namespaces", "A", false, "look in all namespaces; also what concerns no pod")
	c.Flags().BoolVarP(&f.watch, "watch", "w", false, "after listing, show events as they come")
	c.Flags().StringVar(&f.about, "for", "", "only events about one object, such as pod/web")
	c.Flags().StringSliceVar(&f.types, "types", nil, "only events of these types: Normal, Warning")
	c.Flags().BoolVar(&f.noHeaders, "no-headers", false, "leave out the headings")
	c.Flags().BoolVar(&f.wide, "wide", false, "show source, count and first time as well")
	a.completeFlags(c, "namespace", a.completeNamespaces)
	return c
}

func isEvents(kind string) bool { return kind == "events" || kind == "event" || kind == "ev" }

// getEvents is "get events", another name of "events".
func (a *App) getEvents(ctx context.Context, f *getFlags, args []string) error {
	if len(args) > 1 || f.output != "" && f.output != "wide" || f.labels != "" || f.fields != "" {
		return errors.New("get events takes no names, labels, fields and formats: 'podstead events --for pod/NAME' shows those of one pod")
	}
	return a.events(ctx, &eventFlags{
		namespace: f.namespace, all: f.all, watch: f.watch, noHeaders: f.noHeaders, wide: f.output == "wide",
	})
}

func (f *eventFlags) options() (api.ListOptions, error) {
	o := api.ListOptions{Namespace: f.namespace}
	if f.all {
		o.Namespace = ""
	}
	if f.about == "" {
		return o, nil
	}
	kind, name, ok := strings.Cut(f.about, "/")
	if !ok || kind == "" || name == "" {
		return o, fmt.Errorf("--for: got %q, want TYPE/NAME such as pod/web", f.about)
	}
	if k, known := kindOf(kind); known {
		kind = string(k)
	}
	o.FieldSelector = "involvedObject.kind=" + kind + ",involvedObject.name=" + name
	return o, nil
}

func (f *eventFlags) wants(e *corev1.Event) bool {
	return len(f.types) == 0 || slices.ContainsFunc(f.types, func(t string) bool { return strings.EqualFold(t, e.Type) })
}

func (a *App) events(ctx context.Context, f *eventFlags) error {
	options, err := f.options()
	if err != nil {
		return err
	}
	client := a.client()
	defer client.Close()
	list, err := client.Events(ctx, options)
	if err != nil {
		return err
	}
	columns := printer.Columns{Namespace: f.all, Wide: f.wide}
	header := printer.EventHeader(columns)
	if f.noHeaders {
		header = nil
	}
	table := printer.NewTable(a.Out, header)
	var rows [][]string
	slices.SortStableFunc(list.Items, func(x, y corev1.Event) int {
		return printer.LastSeen(&x).Compare(printer.LastSeen(&y))
	})
	for i := range list.Items {
		if f.wants(&list.Items[i]) {
			rows = append(rows, printer.EventRow(&list.Items[i], columns, a.Now()))
		}
	}
	switch {
	case len(rows) > 0:
		err = table.Write(rows)
	case !f.watch:
		_, err = fmt.Fprintln(a.Err, (&scope{namespace: f.namespace, all: f.all}).noEvents())
	}
	if err != nil || !f.watch {
		return err
	}
	options.ResourceVersion = list.ResourceVersion
	return client.WatchEvents(ctx, options, func(_ watch.EventType, e *corev1.Event) error {
		if !f.wants(e) {
			return nil
		}
		return table.Write([][]string{printer.EventRow(e, columns, a.Now())})
	})
}

func (s *scope) noEvents() string {
	if s.all {
		return "No events found."
	}
	return fmt.Sprintf("No events found in %s namespace.", s.namespace)
}
