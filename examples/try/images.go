package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/podstead/podstead/test/images"
)

// downloadTime is how long Prometheus may take to arrive; the other examples
// don't wait longer for it.
const downloadTime = time.Minute

// buildImages writes the images of the examples into the folder that podstead
// imports images from, and returns the names of the examples that have theirs.
func buildImages(ctx context.Context) ([]string, error) {
	if err := buildDemo(ctx); err != nil {
		return nil, err
	}
	examples := []string{"queue", "web"}
	if err := buildPrometheus(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		fmt.Printf("it goes on without Prometheus: %v\n", err)
		return examples, nil
	}
	return append(examples, "prometheus"), nil
}

// buildDemo builds two versions of the demo program.
func buildDemo(ctx context.Context) error {
	for _, version := range []string{"1", "2"} {
		img, err := images.FromGo(ctx, "github.com/podstead/podstead/examples/demo", images.Options{
			Config: v1.Config{Env: []string{"VERSION=" + version}},
		})
		if err != nil {
			return err
		}
		path := filepath.Join(folder, "images", "demo-"+version+".tar")
		if err := images.WriteOCI(path, "localhost/podstead/demo:"+version, img); err != nil {
			return err
		}
	}
	return nil
}

// buildPrometheus builds an image of Debian's Prometheus with the scrape jobs
// and alerts of mixin/, unless an earlier run left it.
func buildPrometheus(ctx context.Context) error {
	path := filepath.Join(folder, "images", "prometheus-1.tar")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	files, err := prometheusFiles()
	if err != nil {
		return err
	}
	fmt.Printf("fetching Debian's Prometheus, for %s at most\n", downloadTime)
	ctx, cancel := context.WithTimeout(ctx, downloadTime)
	defer cancel()
	img, err := images.FromDebian(ctx, images.Options{Files: files}, "prometheus")
	if err != nil {
		return err
	}
	return images.WriteOCI(path, "localhost/podstead/prometheus:1", img)
}

// prometheusFiles are Prometheus' configuration: what any server would paste
// from mixin/, asked often enough for a short look.
func prometheusFiles() (map[string]images.File, error) {
	jobs, err := os.ReadFile("mixin/scrape/kubernetes-mixin.yaml")
	if err != nil {
		return nil, err
	}
	alerts, err := os.ReadFile("mixin/alerts.yaml")
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
