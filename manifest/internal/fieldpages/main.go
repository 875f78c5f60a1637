// Command fieldpages writes the pages that say for each field of the supported
// kinds what podstead does with it, into the folder that it is given.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/podstead/podstead/manifest"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: fieldpages FOLDER")
		os.Exit(2)
	}
	for _, p := range manifest.Pages() {
		if err := os.WriteFile(filepath.Join(os.Args[1], p.Name+".md"), []byte(p.Text()), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
