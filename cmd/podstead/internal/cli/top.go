package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/printer"
)

// topFlags are the flags of top.
type topFlags struct {
	scope
	containers bool
	noHeaders  bool
	sortBy     string
}

func (a *App) topCommand() *cobra.Command {
	f := &topFlags{}
	c := &cobra.Command{
		Use:     "top pods|node [NAME]",
		Short:   "Show the CPU and memory that pods, or the server, use",
		Example: "  podstead top node\n  podstead top pods -A --sort-by memory\n  podstead top pod web --containers",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if name, is, err := nodeArgs(args); is {
				if err != nil {
					return err
				}
				return a.topNode(c.Context(), f, name)
			}
			name := ""
			if len(args) == 2 || !isPods(args[0]) {
				var err error
				if name, _, err = podArg(args); err != nil {
					return err
				}
			}
			if f.sortBy != "" && f.sortBy != "cpu" && f.sortBy != "memory" {
				return fmt.Errorf("--sort-by: got %q, want cpu or memory", f.sortBy)
			}
			return a.top(c.Context(), f, name)
		},
		ValidArgsFunction: a.completePods(&f.scope),
	}
	f.several(c)
	c.Flags().BoolVar(&f.containers, "containers", false, "show each container")
	c.Flags().BoolVar(&f.noHeaders, "no-headers", false, "leave out the headings")
	c.Flags().StringVar(&f.sortBy, "sort-by", "", "cpu or memory, largest first")
	a.completeFlags(c, "namespace", a.completeNamespaces)
	return c
}

// topRow is one line before it is worded.
type topRow struct {
	namespace, pod, container string
	cpu, memory               resource.Quantity
}

func (a *App) top(ctx context.Context, f *topFlags, name string) error {
	client := a.client()
	defer client.Close()
	list, err := client.PodMetrics(ctx, f.options())
	if err != nil {
		return err
	}
	var rows []topRow
	for _, m := range list.Items {
		if name == "" || m.Name == name {
			rows = append(rows, topRows(m, f.containers)...)
		}
	}
	if len(rows) == 0 && name != "" {
		// The server tells whether there is no such pod; else it runs nothing.
		if _, err := client.Pod(ctx, f.key(name)); err != nil {
			return err
		}
		return errors.New("nothing of pod " + f.key(name).String() + " is running")
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(a.Err, f.nothing())
		return err
	}
	sortTop(rows, f.sortBy)
	return a.printTop(f, rows)
}

func topRows(m api.PodMetrics, byContainer bool) []topRow {
	all := topRow{namespace: m.Namespace, pod: m.Name}
	var rows []topRow
	for _, c := range m.Containers {
		cpu, memory := c.Usage[corev1.ResourceCPU], c.Usage[corev1.ResourceMemory]
		rows = append(rows, topRow{m.Namespace, m.Name, c.Name, cpu, memory})
		all.cpu.Add(cpu)
		all.memory.Add(memory)
	}
	if byContainer {
		return rows
	}
	return []topRow{all}
}

func sortTop(rows []topRow, by string) {
	slices.SortStableFunc(rows, func(x, y topRow) int {
		switch by {
		case "cpu":
			return y.cpu.Cmp(x.cpu)
		case "memory":
			return y.memory.Cmp(x.memory)
		default:
			return cmp.Or(cmp.Compare(x.namespace, y.namespace), cmp.Compare(x.pod, y.pod), cmp.Compare(x.container, y.container))
		}
	})
}

func (a *App) printTop(f *topFlags, rows []topRow) error {
	row := func(namespace, pod, container, cpu, memory string) []string {
		cells := []string{pod, cpu, memory}
		if f.containers {
			cells = []string{pod, container, cpu, memory}
		}
		if f.all {
			cells = append([]string{namespace}, cells...)
		}
		return cells
	}
	first := "NAME"
	if f.containers {
		first = "POD"
	}
	header := row("NAMESPACE", first, "NAME", "CPU(cores)", "MEMORY(bytes)")
	if f.noHeaders {
		header = nil
	}
	var cells [][]string
	for _, r := range rows {
		cells = append(cells, row(r.namespace, r.pod, r.container,
			fmt.Sprintf("%dm", r.cpu.MilliValue()), fmt.Sprintf("%dMi", r.memory.Value()>>20)))
	}
	return printer.NewTable(a.Out, header).Write(cells)
}
