// Witness is the program of the test images. It writes down when it lives and
// whether another one of its name does, and does what its arguments and its
// HTTP endpoints ask. See behaviour in args.go.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	b, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "witness:", err)
		os.Exit(64)
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1)
	d, err := openDiary(b)
	if err != nil {
		fmt.Fprintln(os.Stderr, "witness:", err)
		os.Exit(70)
	}
	exits := make(chan int, 1)
	if err := b.act(exits); err != nil {
		fmt.Fprintln(os.Stderr, "witness:", err)
		d.exit(71, 0)
	}
	live(b, d, signals, exits)
}

// live beats until something ends it.
func live(b behaviour, d *diary, signals <-chan os.Signal, exits <-chan int) {
	beat := time.NewTicker(100 * time.Millisecond)
	var timed <-chan time.Time
	if b.exitAfter >= 0 {
		timed = time.After(b.exitAfter)
	}
	for {
		d.beat()
		select {
		case <-beat.C:
		case <-timed:
			d.exit(b.exitCode, 0)
		case code := <-exits:
			d.exit(code, 0)
		case s := <-signals:
			number := int(s.(syscall.Signal))
			fmt.Printf("signal %d\n", number)
			d.term(number)
			switch {
			case b.ignoreTerm:
			case b.termDelay > 0:
				timed, b.exitCode = time.After(b.termDelay), b.termCode
			default:
				d.exit(b.termCode, number)
			}
		}
	}
}
