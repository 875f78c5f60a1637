// Package host tests podstead on real servers: Debian guests with systemd and
// cgroup v2 that are rebooted and lose their power. make test-host runs it.
package host

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

var wanted = flag.Bool("host", false, "boot guests and run the tests in them")

func TestMain(m *testing.M) {
	flag.Parse()
	if !*wanted {
		fmt.Println("these tests boot guests, which takes minutes: run make test-host")
		return
	}
	os.Exit(m.Run())
}
