package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/printer"
	"github.com/podstead/podstead/pod"
)

// kindsText counts objects by kind, in the order of "get all".
func kindsText(counts map[pod.Kind]int) string {
	total := 0
	var parts []string
	for _, k := range kinds {
		if n := counts[k.kind]; n > 0 {
			total += n
			parts = append(parts, fmt.Sprintf("%d %s", n, k.kind))
		}
	}
	if total == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", total, strings.Join(parts, ", "))
}

// writeTroubles shows the workloads that are not as their manifests say.
func writeTroubles(w io.Writer, troubles []api.WorkloadTrouble) error {
	var rows [][]string
	for _, t := range troubles {
		add := func(state, detail string) {
			rows = append(rows, []string{t.Namespace, printer.QualifiedKey(t.ObjectKey), state, printer.Clean(detail)})
		}
		switch {
		case t.RolledBack:
			add("rolled back", t.Failed)
		case t.Failed != "":
			add("failed", t.Failed)
		}
		if t.Held != "" {
			add("held", t.Held)
		}
		if t.Paused {
			add("paused", "rollouts are paused")
		}
		for _, d := range t.Drift {
			add("drift", d)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	return printer.NewTable(w, []string{"NAMESPACE", "WORKLOAD", "STATE", "DETAIL"}).Write(rows)
}
