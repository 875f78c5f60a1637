package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/podstead/podstead/examples/build"
	"github.com/podstead/podstead/test/images"
)

// downloadTime is how long Debian's packages may take to arrive; the other
// examples don't wait longer for them.
const downloadTime = time.Minute

// wanted are the examples to keep: those of the variable EXAMPLES, by the
// names of their files.
func wanted() []string {
	if names := strings.Fields(os.Getenv("EXAMPLES")); len(names) > 0 {
		return names
	}
	return []string{"hello", "queue", "web", "prometheus"}
}

// buildImages writes the images of the examples into the folder that podstead
// imports images from, and returns the names of the examples that have theirs.
func buildImages(ctx context.Context) ([]string, error) {
	var examples []string
	for _, name := range wanted() {
		if _, err := os.Stat(exampleFile(name)); err != nil {
			return nil, fmt.Errorf("EXAMPLES names %q, want names of %s without .yaml, such as \"guestbook canary\"; nothing was started", name, exampleFile("*"))
		}
		if err := buildFor(ctx, name); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			fmt.Printf("it goes on without %s: %v\n", name, err)
			continue
		}
		examples = append(examples, name)
	}
	return examples, nil
}

func exampleFile(name string) string { return filepath.Join("examples", name+".yaml") }

// buildFor builds the images of an example, unless an earlier run left them.
// Of the demo there are all versions, to change to.
func buildFor(ctx context.Context, name string) error {
	manifest, err := os.ReadFile(exampleFile(name))
	if err != nil {
		return err
	}
	for _, ref := range build.References(manifest) {
		for _, version := range build.Versions(ref) {
			if err := buildOne(ctx, version); err != nil {
				return err
			}
		}
	}
	return nil
}

func buildOne(ctx context.Context, ref string) error {
	file := strings.ReplaceAll(strings.TrimPrefix(ref, "localhost/podstead/"), ":", "-") + ".tar"
	path := filepath.Join(folder, "images", file)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	fmt.Printf("building %s\n", ref)
	ctx, cancel := context.WithTimeout(ctx, downloadTime)
	defer cancel()
	img, err := build.Image(ctx, ".", ref)
	if err != nil {
		return err
	}
	return images.WriteOCI(path, ref, img)
}
