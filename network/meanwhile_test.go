package network_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
)

// TestChangesByOthersMeanwhile: somebody empties a chain of ours between our
// change and our look at what came of it, and before our next change.
func TestChangesByOthersMeanwhile(t *testing.T) {
	real, err := exec.LookPath("nft")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	harm := filepath.Join(dir, "harm")
	script := fmt.Sprintf("#!/bin/sh\n%s \"$@\"\ncode=$?\nif [ \"$1\" = -f ] && [ -s %[2]s ]; then mv %[2]s %[2]s.now; %[1]s -f %[2]s.now; fi\nexit $code\n", real, harm)
	if err := os.WriteFile(filepath.Join(dir, "nft"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	l := newLab(t, network.Config{})
	a := l.pod("a")
	serve(t, a.path, ":80", "a")
	c := with([]node{a}, service(a.v4, a.v6))
	set := func(hostPort int32) {
		t.Helper()
		c.Pods[0].Ports = []pod.PortMapping{mapping("TCP", "", hostPort, 80)}
		if err := l.Set(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		reaches(t, l.outside, "tcp", at(host4, int(hostPort)), "a")
		reaches(t, l.outside, "tcp", at(host4, nodePort), "a")
	}
	set(8080)
	empty := "flush chain " + strings.Join(ourTable(t), " ") + " host-ports\n"
	for i := range int32(3) {
		if err := os.WriteFile(harm, []byte(empty), 0o644); err != nil {
			t.Fatal(err)
		}
		set(8081 + i)
		nft(t, empty)
		set(8091 + i)
	}
}
