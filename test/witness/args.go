package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// behaviour is what a witness was asked to do.
type behaviour struct {
	dir, id              string
	exitAfter            time.Duration
	exitCode             int
	ignoreTerm           bool
	termDelay            time.Duration
	termCode             int
	alloc                int64
	children, zombies    int
	flood                int
	lineSize             int
	floodPause           time.Duration
	floodExit            bool
	say, complain        string
	dump, echo           bool
	message, messagePath string
	listen               string
	scribble             string
	appendTo             string
	mount                string
}

// parse reads the arguments. Each has the environment variable WITNESS_NAME
// as its default, so that manifests can use either.
func parse(args []string) (behaviour, error) {
	var b behaviour
	f := flag.NewFlagSet("witness", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&b.dir, "dir", "", "folder of the diary; empty for none")
	f.StringVar(&b.id, "id", "", "name in the diary: namespace_pod_container")
	f.DurationVar(&b.exitAfter, "exit-after", -1, "exit after this time; negative: never")
	f.IntVar(&b.exitCode, "exit-code", 0, "with this code")
	f.BoolVar(&b.ignoreTerm, "ignore-term", false, "note signals, but go on")
	f.DurationVar(&b.termDelay, "term-delay", 0, "exit this long after a signal")
	f.IntVar(&b.termCode, "term-code", 0, "exit with this code after a signal")
	f.Int64Var(&b.alloc, "alloc", 0, "use this many bytes of memory")
	f.IntVar(&b.children, "children", 0, "have this many children that sleep")
	f.IntVar(&b.zombies, "zombies", 0, "have this many children that died and were not waited for")
	f.IntVar(&b.flood, "flood", 0, "print this many numbered lines; negative: for ever")
	f.IntVar(&b.lineSize, "line-size", 0, "pad them to this many bytes")
	f.DurationVar(&b.floodPause, "flood-pause", 0, "pause after each")
	f.BoolVar(&b.floodExit, "flood-exit", false, "exit when they are printed")
	f.StringVar(&b.say, "say", "", "print this line to stdout")
	f.StringVar(&b.complain, "complain", "", "print this line to stderr")
	f.BoolVar(&b.dump, "dump", false, "print environment, ids, limits and mounts")
	f.BoolVar(&b.echo, "echo", false, "print what comes on stdin, and exit at its end")
	f.StringVar(&b.message, "message", "", "write this termination message")
	f.StringVar(&b.messagePath, "message-path", "/dev/termination-log", "to this file")
	f.StringVar(&b.listen, "listen", "", "serve HTTP at unix:PATH or HOST:PORT")
	f.StringVar(&b.scribble, "scribble", "", "write this file anew and sync it, all the time")
	f.StringVar(&b.appendTo, "append", "", "append a line to this file at start")
	f.StringVar(&b.mount, "mount", "", "mount a tmpfs at this folder, or exit with 77 when that is refused")
	if err := f.Parse(args); err != nil {
		return b, err
	}
	if f.NArg() > 0 {
		return b, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	return b, fromEnv(f)
}

func fromEnv(f *flag.FlagSet) error {
	given := map[string]bool{}
	f.Visit(func(fl *flag.Flag) { given[fl.Name] = true })
	var failed error
	f.VisitAll(func(fl *flag.Flag) {
		name := "WITNESS_" + strings.ToUpper(strings.ReplaceAll(fl.Name, "-", "_"))
		value, ok := os.LookupEnv(name)
		if !ok || given[fl.Name] {
			return
		}
		if err := f.Set(fl.Name, value); err != nil && failed == nil {
			failed = fmt.Errorf("%s=%q: %w", name, value, err)
		}
	})
	return failed
}
