// Command podfields prints docs/pod-fields.md, the page that says for each
// field of the Pod API what podstead does with it.
package main

import (
	"fmt"

	"github.com/podstead/podstead/manifest"
)

func main() {
	fmt.Print(manifest.FieldsPage())
}
