// Podstead-logger writes what one container prints into log files.
//
// The shim starts it for a log address of the scheme binary:// and turns each
// key of the address's query into an argument, with its value behind it:
//
//	binary:///usr/lib/podstead/podstead-logger?--path=/var/log/pods/a_b_c/app/0.log&--max-size=10485760&--max-files=5&--status=/run/podstead/app.status
//
// Descriptors 3 and 4 are the container's stdout and stderr; 5 is closed when
// the logger is ready. It ends when both outputs have ended, never by the
// signal that the shim sends when the task is deleted, for then output may
// still be on its way.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"github.com/podstead/podstead/runtime/logs/logfile"
)

// readSize is the capacity of a pipe: no read brings more.
const readSize = 64 << 10

func main() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGXFSZ)
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(20)
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "podstead-logger:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var cfg logfile.Config
	flags := flag.NewFlagSet("podstead-logger", flag.ContinueOnError)
	flags.StringVar(&cfg.Path, "path", "", "the log `file`, N.log")
	flags.Int64Var(&cfg.MaxSize, "max-size", logfile.DefaultMaxSize, "`bytes` at which a file is rotated")
	flags.IntVar(&cfg.MaxFiles, "max-files", logfile.DefaultMaxFiles, "`number` of files to keep, the current one included")
	status := flags.String("status", "", "the `file` that tells how the logger is")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected arguments: %s", strings.Join(flags.Args(), " "))
	}
	if *status != "" {
		counters, err := logfile.CreateStatus(*status)
		if err != nil {
			// Counting is worth less than the log itself.
			fmt.Fprintln(os.Stderr, "podstead-logger: counts are lost:", err)
		}
		cfg.Counters = counters
	}
	w, err := logfile.NewWriter(cfg)
	if err != nil {
		return err
	}
	streams := []*os.File{pipe(3, "stdout"), pipe(4, "stderr")}
	ready()
	var wg sync.WaitGroup
	for i, from := range streams {
		wg.Go(func() { drain(w, logfile.Stream(i), from) })
	}
	wg.Wait()
	if cfg.Counters != nil {
		defer cfg.Counters.End()
	}
	return w.Close()
}

// pipe wraps an inherited descriptor. Without blocking, the runtime waits for
// both pipes in one thread.
func pipe(fd int, name string) *os.File {
	// A descriptor that can't be switched is read by a thread of its own.
	_ = syscall.SetNonblock(fd, true)
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), name)
}

// ready lets the shim go on. The byte tells servers that ask for the scheme
// binary-v2 that the logger has not just died; others ignore it.
func ready() {
	f := os.NewFile(5, "ready")
	_, _ = f.Write([]byte{1})
	_ = f.Close()
}

// drain copies until the last writer has closed the pipe.
func drain(w *logfile.Writer, s logfile.Stream, from io.Reader) {
	buf := make([]byte, logfile.MaxPiece+readSize)
	held := 0
	for {
		n, err := from.Read(buf[held:])
		held += n
		used := w.Write(s, buf[:held], err != nil)
		held = copy(buf, buf[used:held])
		if err != nil {
			return
		}
	}
}
