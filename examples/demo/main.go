// The program inside the images of the examples: a greeting over HTTP that can
// be made busy or broken, a worker, a clock, and a file that is prepared for
// them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 {
		switch args[0] {
		case "serve":
			return serve(ctx, args[1])
		case "prepare":
			return prepare(args[1])
		case "work":
			return work(ctx, args[1])
		case "check":
			return check(args[1])
		case "finish":
			return finish(ctx, args[1])
		}
	}
	if len(args) == 1 && args[0] == "tick" {
		return tick(ctx)
	}
	return errors.New("usage: demo serve ADDRESS | prepare FOLDER | work FOLDER | check FOLDER | finish FOLDER | tick")
}

// tick prints the time until it is told to stop.
func tick(ctx context.Context) error {
	for {
		fmt.Println("it is", time.Now().Format(time.TimeOnly))
		if !wait(ctx, time.Second) {
			return nil
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
