// The program inside the images of the examples: a greeting over HTTP, a
// worker, a clock, and a file that is prepared for them.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
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
		}
	}
	if len(args) == 1 && args[0] == "tick" {
		return tick(ctx)
	}
	return fmt.Errorf("usage: demo serve ADDRESS | prepare FOLDER | work FOLDER | tick")
}

// serve greets over HTTP until it is told to stop.
func serve(ctx context.Context, address string) error {
	greeting := os.Getenv("GREETING")
	server := &http.Server{
		Addr: address, ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Printf("%s %s\n", r.Method, r.URL.Path)
			fmt.Fprintf(w, "%s from pod %s, version %s\n", greeting, os.Getenv("POD_NAME"), os.Getenv("VERSION"))
		}),
	}
	context.AfterFunc(ctx, func() {
		fmt.Println("told to stop, closing")
		_ = server.Shutdown(context.Background())
	})
	fmt.Println("listening on", address)
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// prepare is the work of an init container.
func prepare(folder string) error {
	fmt.Println("preparing", folder)
	return os.WriteFile(filepath.Join(folder, "ready"), []byte("yes\n"), 0o644)
}

// work appends to a file until it is told to stop.
func work(ctx context.Context, folder string) error {
	if _, err := os.Stat(filepath.Join(folder, "ready")); err != nil {
		return fmt.Errorf("nothing was prepared: %w", err)
	}
	for n := 1; ; n++ {
		line := fmt.Sprintf("job %d done\n", n)
		fmt.Print(line)
		if err := os.WriteFile(filepath.Join(folder, "last"), []byte(line), 0o644); err != nil {
			return err
		}
		if !wait(ctx, 2*time.Second) {
			return nil
		}
	}
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
