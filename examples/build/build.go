// Package build makes the images of examples/.
package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/podstead/podstead/test/images"
)

const (
	demoImage        = "localhost/podstead/demo"
	demoPackage      = "github.com/podstead/podstead/examples/demo"
	guestbookPackage = "github.com/podstead/podstead/examples/guestbook"
)

// Debian returns the packages that images are made of.
func Debian() []string { return []string{"prometheus", "redis-server", "busybox-static"} }

var named = regexp.MustCompile(`(?m)^\s*(?:-\s+)?image:\s*(localhost/podstead/\S+)`)

// References returns the images that a manifest names, each once, sorted.
func References(manifest []byte) []string {
	var refs []string
	for _, m := range named.FindAllSubmatch(manifest, -1) {
		refs = append(refs, string(m[1]))
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}

// Versions returns the references of an image and of its other versions.
func Versions(ref string) []string {
	if name, _, _ := strings.Cut(ref, ":"); name == demoImage {
		return []string{demoImage + ":1", demoImage + ":2", demoImage + ":3"}
	}
	return []string{ref}
}

// Image makes the image of a reference. Root is the folder of the project.
// What comes from Debian is downloaded, once for all checkouts.
func Image(ctx context.Context, root, ref string) (v1.Image, error) {
	switch ref {
	case demoImage + ":1", demoImage + ":2":
		return demo(ctx, "VERSION="+ref[len(ref)-1:])
	case demoImage + ":3": // which does not start
		return demo(ctx, "VERSION=3", "BROKEN=the greeting of version 3 is not written yet")
	case "localhost/podstead/guestbook:1":
		return images.FromGo(ctx, guestbookPackage, images.Options{})
	case "localhost/podstead/redis:1":
		return images.FromDebian(ctx, images.Options{
			Config: v1.Config{Entrypoint: []string{"/usr/bin/redis-server"}},
		}, "redis-server", "busybox-static")
	case "localhost/podstead/prometheus:1":
		files, err := prometheusFiles(root)
		if err != nil {
			return nil, err
		}
		return images.FromDebian(ctx, images.Options{Files: files}, "prometheus")
	}
	return nil, fmt.Errorf("no example has an image %s", ref)
}

func demo(ctx context.Context, env ...string) (v1.Image, error) {
	return images.FromGo(ctx, demoPackage, images.Options{Config: v1.Config{Env: env}})
}

// prometheusFiles are Prometheus' configuration: what any server would paste
// from mixin/, asked often enough for a short look.
func prometheusFiles(root string) (map[string]images.File, error) {
	jobs, err := os.ReadFile(filepath.Join(root, "mixin/scrape/kubernetes-mixin.yaml"))
	if err != nil {
		return nil, err
	}
	alerts, err := os.ReadFile(filepath.Join(root, "mixin/alerts.yaml"))
	if err != nil {
		return nil, err
	}
	config := append([]byte(prometheusHead), jobs...)
	return map[string]images.File{
		"/etc/prometheus/prometheus.yml": {Mode: 0o644, Content: config},
		"/etc/prometheus/alerts.yaml":    {Mode: 0o644, Content: alerts},
	}, nil
}

const prometheusHead = `global:
  scrape_interval: 5s
  evaluation_interval: 5s
rule_files: [/etc/prometheus/alerts.yaml]
`
