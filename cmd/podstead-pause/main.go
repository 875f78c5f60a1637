// Podstead-pause holds a pod's shared PID namespace open. As its first
// process it reaps what other processes leave behind, and on SIGTERM or
// SIGINT it exits, with which the kernel ends all others in the namespace.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// A first process is not ended by signals that it has no handler for. Two
	// channels, so that many ended children never crowd out the end.
	stop, ended := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(ended, syscall.SIGCHLD)
	for {
		// First of all: what ended before there was a handler sends nothing.
		reap()
		select {
		case <-stop:
			return
		case <-ended:
		}
	}
}

// reap collects every child that has ended. One SIGCHLD may stand for many.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
	}
}
