package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/printer"
)

func isNodes(kind string) bool {
	return kind == "node" || kind == "nodes" || kind == "no"
}

// nodeArgs takes "nodes", "node NAME" and "node/NAME"; name is empty for the
// first. is tells whether it is about nodes at all.
func nodeArgs(args []string) (name string, is bool, err error) {
	if kind, name, typed := strings.Cut(args[0], "/"); typed {
		args = append([]string{kind, name}, args[1:]...)
	}
	switch {
	case !isNodes(args[0]):
		return "", false, nil
	case len(args) > 2:
		return "", true, fmt.Errorf("got %q after the node, want one name", args[2:])
	case len(args) == 2:
		return args[1], true, nil
	}
	return "", true, nil
}

// theNode is the node that podstead runs on, if it has the name asked for.
func theNode(ctx context.Context, client *api.Client, name string) (*corev1.Node, error) {
	if name != "" {
		return client.Node(ctx, name)
	}
	list, err := client.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	if len(list.Items) != 1 {
		return nil, fmt.Errorf("podstead tells of %d nodes, want one", len(list.Items))
	}
	return &list.Items[0], nil
}

func (a *App) getNode(ctx context.Context, f *getFlags, name string) error {
	if f.watch || f.watchOnly {
		return errors.New("nodes can't be watched: leave -w out")
	}
	client := a.client()
	defer client.Close()
	n, err := theNode(ctx, client, name)
	if err != nil {
		return err
	}
	out := a.objectOutput(f, false)
	switch {
	case f.output == "name":
		_, err := fmt.Fprintln(a.Out, "node/"+n.Name)
		return err
	case (f.output == "json" || f.output == "yaml") && name != "":
		return out.object(n)
	case f.output == "json" || f.output == "yaml":
		return out.object(listOf([]corev1.Node{*n}, metav1.ListMeta{ResourceVersion: n.ResourceVersion}))
	}
	var header []string
	if !f.noHeaders {
		header = printer.NodeHeader(out.columns)
	}
	return printer.NewTable(a.Out, header).Write([][]string{printer.NodeRow(n, out.columns, a.Now())})
}

func (a *App) describeNode(ctx context.Context, name string) error {
	client := a.client()
	defer client.Close()
	n, err := theNode(ctx, client, name)
	if err != nil {
		return err
	}
	list, err := client.Pods(ctx, api.ListOptions{})
	if err != nil {
		return err
	}
	return printer.DescribeNode(a.Out, n, list.Items, a.Now())
}

// topNode shows what the server uses, as parts of what pods may have.
func (a *App) topNode(ctx context.Context, f *topFlags, name string) error {
	client := a.client()
	defer client.Close()
	n, err := theNode(ctx, client, name)
	if err != nil {
		return err
	}
	list, err := client.NodeMetrics(ctx)
	if err != nil {
		return err
	}
	header := []string{"NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"}
	if f.noHeaders {
		header = nil
	}
	var rows [][]string
	for _, m := range list.Items {
		cpu, memory := m.Usage[corev1.ResourceCPU], m.Usage[corev1.ResourceMemory]
		rows = append(rows, []string{
			m.Name,
			fmt.Sprintf("%dm", cpu.MilliValue()), percent(cpu.MilliValue(), n.Status.Allocatable.Cpu().MilliValue()),
			fmt.Sprintf("%dMi", memory.Value()>>20), percent(memory.Value(), n.Status.Allocatable.Memory().Value()),
		})
	}
	return printer.NewTable(a.Out, header).Write(rows)
}

func percent(part, whole int64) string {
	if whole <= 0 {
		return "<unknown>"
	}
	return fmt.Sprintf("%d%%", int64(float64(part)*100/float64(whole)))
}
