// Agent is the harness's hand in a guest. In the initial RAM disk it is init:
// it loads the drivers, mounts the root and hands over to systemd. There it
// serves what the harness asks for. With the arguments "http ADDRESS FOLDER" it
// is a server of files, with "registry ADDRESS FOLDER BYTES-PER-SECOND" one of
// images.
package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	run := serve
	switch {
	case os.Getpid() == 1:
		run = boot
	case len(os.Args) == 4 && os.Args[1] == "http":
		run = func() error { return http.ListenAndServe(os.Args[2], http.FileServer(http.Dir(os.Args[3]))) }
	case len(os.Args) == 5 && os.Args[1] == "registry":
		run = func() error { return registry(os.Args[2], os.Args[3], os.Args[4]) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "guest agent:", err)
		os.Exit(1) // as init: the kernel panics, and the harness sees the console
	}
}
