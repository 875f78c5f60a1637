// Package firewall tests the built podstead beside the firewalls that servers
// have: the real programs, as Debian ships them, in a folder and in namespaces
// of their own.
package firewall

import (
	"context"
	"testing"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/images"
)

func TestMain(m *testing.M) {
	harness.MainOfRules(m, func(ctx context.Context) error {
		_, err := images.Download(ctx, packages...)
		return err
	})
}

// packages are the firewalls, and what their scripts need of a Debian.
var packages = []string{"ufw", "firewalld", "coreutils", "dash", "grep", "mawk", "procps"}
