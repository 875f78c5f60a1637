// Command metricspage writes the reference of docs/metrics.md anew. What
// stands before it is written by hand.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/podstead/podstead/metrics"
)

func main() {
	if err := rewrite(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func rewrite(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, _, _ := strings.Cut(string(text), "## Reference\n")
	return os.WriteFile(path, []byte(head+metrics.Reference()), 0o644)
}
