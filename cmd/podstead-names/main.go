// Command podstead-names answers pods' questions for names. It is a process of
// its own so that names are there while podstead is not: while it is started
// anew, upgraded, or has ended and left its pods running. It needs no rights
// but to read its folder and to talk by IP.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/network/names/server"
)

func main() {
	dir := flag.String("dir", "/run/podstead-names", "the folder in which podstead says what is to be done")
	at := flag.String("at", "", "where that folder is found, if not there")
	flag.Parse()
	if *at == "" {
		*at = *dir
	}
	if err := run(*at); err != nil {
		warn(err)
		os.Exit(1)
	}
}

func run(dir string) error {
	// It may have been started by the number of a file.
	_ = os.WriteFile("/proc/self/comm", []byte("podstead-names"), 0)
	// Whatever the messages of pods do to us, nothing is to be gained by it.
	// Where that can't be had it goes without.
	_, _, _ = syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	restore := make(chan os.Signal, 1)
	signal.Notify(restore, syscall.SIGUSR1)
	err := server.Run(ctx, server.Config{Dir: dir, Restore: restore, Warn: warn})
	if errors.Is(err, context.Canceled) || errors.Is(err, server.ErrSettings) {
		return nil
	}
	return err
}

func warn(err error) { fmt.Fprintln(os.Stderr, "podstead-names:", err) }
