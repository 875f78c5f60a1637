// Package e2e tests the built podstead with a real containerd, in namespaces
// of its own.
package e2e

import (
	"context"
	"flag"
	"testing"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/images"
)

func TestMain(m *testing.M) {
	// Most of what these tests do is to wait. A flag that was given wins.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	harness.Main(m, func(ctx context.Context) error {
		_, err := images.Download(ctx, debian...)
		return err
	})
}

// debian are the packages of which tests are made.
var debian = []string{"busybox-static", "containerd", "nginx", "prometheus", "redis-server"}
