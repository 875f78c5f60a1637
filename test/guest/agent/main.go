// Agent is the harness's hand in a guest. In the initial RAM disk it is init:
// it loads the drivers, mounts the root and hands over to systemd. There it
// serves what the harness asks for.
package main

import (
	"fmt"
	"os"
)

func main() {
	run := serve
	if os.Getpid() == 1 {
		run = boot
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "guest agent:", err)
		os.Exit(1) // as init: the kernel panics, and the harness sees the console
	}
}
