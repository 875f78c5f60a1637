package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Track makes the result of the running test depend on the sources of
// programs that it builds and starts: go test repeats a result from its cache
// as long as the files that the test looked at are the same, and would not
// see that a program has changed.
func Track(ctx context.Context, packages ...string) error {
	const format = `{{with .Module}}{{if .Main}}{{.GoMod}}
{{$dir := $.Dir}}{{range $.GoFiles}}{{$dir}}/{{.}}
{{end}}{{range $.EmbedFiles}}{{$dir}}/{{.}}
{{end}}{{end}}{{end}}`
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-deps", "-f", format}, packages...)...)
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return fmt.Errorf("go list %s: %w", strings.Join(packages, " "), err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		if _, err := os.Stat(path); err != nil {
			return err
		}
	}
	return nil
}
