package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/podstead/podstead/cmd/podstead/internal/printer"
	"github.com/podstead/podstead/pod"
)

func (a *App) imagesCommand() *cobra.Command {
	var output string
	var noHeaders bool
	c := &cobra.Command{
		Use:   "images",
		Short: "List the images on this server, when each was last used and why it is kept",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			client := a.client()
			defer client.Close()
			list, err := client.Images(c.Context())
			if err != nil {
				return err
			}
			switch output {
			case "", "wide":
				header := imageHeader(output == "wide")
				if noHeaders {
					header = nil
				}
				return printer.NewTable(a.Out, header).Write(imageRows(list.Items, output == "wide", a.Now()))
			case "json":
				out := json.NewEncoder(a.Out)
				out.SetIndent("", "    ")
				return out.Encode(list)
			case "yaml":
				text, err := yaml.Marshal(list)
				if err != nil {
					return fmt.Errorf("write as YAML: %w", err)
				}
				_, err = a.Out.Write(text)
				return err
			default:
				return fmt.Errorf("--output: got %q, want json, yaml or wide", output)
			}
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "json, yaml or wide")
	c.Flags().BoolVar(&noHeaders, "no-headers", false, "leave the headings out")
	return c
}

func imageHeader(wide bool) []string {
	header := []string{"IMAGE", "SIZE", "LAST USED", "KEPT"}
	if wide {
		header = append(header, "DIGEST")
	}
	return header
}

// imageRows shows the images that were used last at the top.
func imageRows(images []pod.StoredImage, wide bool, now time.Time) [][]string {
	images = slices.Clone(images)
	slices.SortStableFunc(images, func(a, b pod.StoredImage) int {
		if a.InUse() != b.InUse() {
			if a.InUse() {
				return -1
			}
			return 1
		}
		return b.LastUsed.Compare(a.LastUsed)
	})
	var rows [][]string
	for _, img := range images {
		used := printer.Age(img.LastUsed, now) + " ago"
		if img.InUse() {
			used = "now"
		}
		kept := img.Kept
		if kept == "" {
			kept = "no"
		}
		row := []string{strings.TrimPrefix(img.Name(), "docker.io/library/"), fmt.Sprintf("%dMi", (img.Size+1<<20-1)>>20), used, printer.Clean(kept)}
		if wide {
			row = append(row, img.Digest)
		}
		rows = append(rows, row)
	}
	return rows
}
