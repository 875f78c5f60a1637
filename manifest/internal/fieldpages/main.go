// Command fieldpages prints a page of docs that says for each field of some
// kinds of objects what podstead does with it.
package main

import (
	"flag"
	"fmt"
	"log"

	"github.com/podstead/podstead/manifest"
)

func main() {
	flag.Parse()
	for _, p := range manifest.Pages() {
		if p.Name == flag.Arg(0) {
			fmt.Print(p.Text())
			return
		}
	}
	log.Fatalf("there is no page of fields named %q", flag.Arg(0))
}
