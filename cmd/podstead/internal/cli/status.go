package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/printer"
	"github.com/podstead/podstead/pod"
)

func (a *App) statusCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "status",
		Short: "Tell how podstead, its sources, its runtime and this server are",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			client := a.client()
			defer client.Close()
			s, err := client.Status(c.Context())
			if err != nil {
				return err
			}
			switch output {
			case "":
				return writeStatus(a.Out, s, a.Now())
			case "json", "yaml":
				text, err := marshal(s, output)
				if err != nil {
					return err
				}
				_, err = a.Out.Write(text)
				return err
			default:
				return fmt.Errorf("--output: got %q, want json or yaml", output)
			}
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "json or yaml")
	return c
}

func writeStatus(w io.Writer, s *api.Status, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "podstead:\t%s\n", versionText(s.Version))
	fmt.Fprintf(t, "Node:\t%s\n", nodeText(s.Node))
	fmt.Fprintf(t, "Runtime:\t%s\n", runtimeText(s, now))
	for _, warning := range s.Runtime.Warnings {
		fmt.Fprintf(t, "\twarning: %s\n", printer.Clean(warning))
	}
	fmt.Fprintf(t, "Metrics:\t%s\n", metricsText(s.Metrics))
	pods := podsText(s.Pods)
	if s.Draining.Reason != "" {
		pods += fmt.Sprintf("; for %s they are stopped: %s", printer.Age(s.Draining.Since, now), printer.Clean(s.Draining.Reason))
	}
	fmt.Fprintf(t, "Pods:\t%s\n", pods)
	fmt.Fprintf(t, "Workloads:\t%s\n", kindsText(s.Workloads))
	fmt.Fprintf(t, "Services:\t%d\n", s.Services)
	fmt.Fprintf(t, "Requested:\t%s\n", requestedText(s))
	writeDisk(t, s.Disk)
	if err := t.Flush(); err != nil {
		return err
	}
	writeConfiguration(w, s.Configuration)
	if err := writeSources(w, s.Sources, now); err != nil {
		return err
	}
	if err := writeTroubles(w, s.Troubles); err != nil {
		return err
	}
	return writeImages(w, s.Images, now)
}

func writeConfiguration(w io.Writer, c api.Configuration) {
	if len(c.Problems) > 0 {
		fmt.Fprintf(w, "\n%s can't be used; the values before it stay in force:\n", c.File)
	}
	for _, p := range c.Problems {
		fmt.Fprintf(w, "  %s\n", printer.Clean(p.String()))
	}
	if len(c.NeedRestart) > 0 {
		fmt.Fprintf(w, "\n%s: in force after a restart of podstead: %s\n", c.File, strings.Join(c.NeedRestart, ", "))
	}
}

func nodeText(n api.Node) string {
	text := n.Name
	if len(n.HostIPs) > 0 {
		text += " (" + strings.Join(n.HostIPs, ", ") + ")"
	}
	if cpu, ok := n.Allocatable[corev1.ResourceCPU]; ok {
		memory := n.Allocatable[corev1.ResourceMemory]
		text += fmt.Sprintf(", %s CPUs and %dMi for pods", cpu.String(), memory.Value()>>20)
		if reserved := reservedText(n); reserved != "" {
			text += " (" + reserved + " reserved)"
		}
	}
	return text
}

// reservedText is what is kept for the host, "" for nothing.
func reservedText(n api.Node) string {
	var parts []string
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		reserved, allocatable := n.Capacity[name], n.Allocatable[name]
		if reserved.Sub(allocatable); reserved.Sign() > 0 {
			parts = append(parts, pod.Amount(reserved, name)+" of "+string(name))
		}
	}
	return strings.Join(parts, " and ")
}

// requestedText tells what pods have asked for of what they may.
func requestedText(s *api.Status) string {
	part := func(name corev1.ResourceName) string {
		asked, allocatable := s.Requested[name], s.Node.Allocatable[name]
		return fmt.Sprintf("%s (%s)", pod.Amount(asked, name), percent(asked.MilliValue(), allocatable.MilliValue()))
	}
	return fmt.Sprintf("%s of the CPUs, %s of the memory", part(corev1.ResourceCPU), part(corev1.ResourceMemory))
}

// writeDisk tells how full each file system is, and what that means.
func writeDisk(w io.Writer, d pod.Disk) {
	name := "Disk:"
	for _, f := range d.Filesystems {
		used := percent(f.Size-f.Available, f.Size)
		fmt.Fprintf(w, "%s\t%s of %s available at %s (%s), %s used\n",
			name, printer.Bytes(f.Available), printer.Bytes(f.Size), f.Path, strings.Join(f.Uses, ", "), used)
		name = ""
	}
	if p := d.Pressure(); p != "" {
		fmt.Fprintf(w, "\twarning: %s\n", printer.Clean(p))
	}
}

func runtimeText(s *api.Status, now time.Time) string {
	r := s.Runtime
	text := "containerd"
	if r.Version != "" {
		text += " " + r.Version
	}
	text += fmt.Sprintf(" (%s) at %s: ", r.Mode, r.Address)
	if r.Up {
		text += "up"
	} else {
		text += "down"
	}
	if !r.Since.IsZero() {
		text += " for " + printer.Age(r.Since, now)
	}
	if r.Error != "" {
		text += ": " + printer.Clean(r.Error)
	}
	return text
}

func metricsText(m *api.Metrics) string {
	switch {
	case m == nil:
		return "off"
	case m.Error != "":
		return "not served: " + printer.Clean(m.Error)
	case m.Serving:
		return "served at " + m.Address
	default:
		return "not served yet"
	}
}

func podsText(phases map[corev1.PodPhase]int) string {
	total := 0
	var parts []string
	for _, phase := range slices.Sorted(maps.Keys(phases)) {
		total += phases[phase]
		parts = append(parts, fmt.Sprintf("%d %s", phases[phase], phase))
	}
	if total == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", total, strings.Join(parts, ", "))
}

func writeSources(w io.Writer, sources []api.Source, now time.Time) error {
	if len(sources) == 0 {
		_, err := fmt.Fprintln(w, "\nNo sources of manifests are configured.")
		return err
	}
	rows := [][]string{}
	for _, s := range sources {
		read := "never"
		if !s.LastSuccess.IsZero() {
			read = printer.Age(s.LastSuccess, now) + " ago"
		}
		rows = append(rows, []string{s.Name, s.Kind, kindsText(s.Objects), fmt.Sprint(len(s.Problems)), read, s.Location})
	}
	fmt.Fprintln(w)
	if err := printer.NewTable(w, []string{"SOURCE", "KIND", "OBJECTS", "PROBLEMS", "LAST READ", "LOCATION"}).Write(rows); err != nil {
		return err
	}
	for _, s := range sources {
		writeSourceProblems(w, s)
	}
	return nil
}

func writeSourceProblems(w io.Writer, s api.Source) {
	if s.Error != "" {
		fmt.Fprintf(w, "\n%s: %s\n", s.Name, printer.Clean(s.Error))
	}
	if len(s.Held) > 0 {
		what := "pods"
		if slices.ContainsFunc(s.Held, func(k pod.ObjectKey) bool { return k.Kind != pod.KindPod }) {
			what = "objects"
		}
		fmt.Fprintf(w, "\n%s: its last answer leaves out %d %s at once, which are kept until the next answers say so too\n", s.Name, len(s.Held), what)
	}
	for _, p := range s.Problems {
		fmt.Fprintf(w, "\n%s\n", printer.Clean(p.String()))
		if p.Consequence != "" {
			fmt.Fprintf(w, "  %s\n", printer.Clean(p.Consequence))
		}
	}
}

// writeImages shows only images that are not simply there.
func writeImages(w io.Writer, images []api.Image, now time.Time) error {
	var rows [][]string
	for _, i := range images {
		switch {
		case i.Pulling:
			rows = append(rows, []string{i.Ref, "pulling", progressText(i)})
		case i.Error != "":
			text := printer.Clean(i.Error)
			if !i.NextTry.IsZero() {
				text += "; next try in " + printer.Age(now, i.NextTry)
			}
			rows = append(rows, []string{i.Ref, "failed", text})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	return printer.NewTable(w, []string{"IMAGE", "STATE", "DETAIL"}).Write(rows)
}

func progressText(i api.Image) string {
	text := fmt.Sprintf("%dMi", i.Done>>20)
	if i.Total > 0 {
		text += fmt.Sprintf(" of %dMi (%d%%)", i.Total>>20, i.Done*100/i.Total)
	}
	if i.Layers > 0 {
		text += fmt.Sprintf(", %d of %d layers", i.LayersDone, i.Layers)
	}
	return text
}
