package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// busyTime is how long a server that is made busy stays so.
const busyTime = 15 * time.Second

// server greets over HTTP. It can be made to fail its probes.
type server struct {
	greeting string
	// busyUntil is a Unix time in nanoseconds; readiness fails before it.
	busyUntil atomic.Int64
	// broken makes liveness fail until the process is another one.
	broken atomic.Bool
}

// serve greets over HTTP until it is told to stop.
func serve(ctx context.Context, address string) error {
	if why := os.Getenv("BROKEN"); why != "" {
		return errors.New(why)
	}
	s := &server{greeting: os.Getenv("GREETING")}
	web := &http.Server{Addr: address, ReadHeaderTimeout: 5 * time.Second, Handler: s.routes(ctx)}
	context.AfterFunc(ctx, func() {
		fmt.Println("told to stop, closing")
		_ = web.Shutdown(context.Background())
	})
	fmt.Println("listening on", address)
	if err := web.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func (s *server) routes(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Printf("%s %s\n", r.Method, r.URL.Path)
		fmt.Fprintf(w, "%s from pod %s, version %s\n", s.greeting, os.Getenv("POD_NAME"), os.Getenv("VERSION"))
	})
	mux.HandleFunc("POST /busy", func(w http.ResponseWriter, _ *http.Request) {
		until := time.Now().Add(busyTime)
		s.busyUntil.Store(until.UnixNano())
		go compute(ctx, until)
		say(w, fmt.Sprintf("busy for %s, readiness fails", busyTime))
	})
	mux.HandleFunc("POST /break", func(w http.ResponseWriter, _ *http.Request) {
		s.broken.Store(true)
		say(w, "broken, liveness fails until this container is restarted")
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if left := time.Until(time.Unix(0, s.busyUntil.Load())); left > 0 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if s.broken.Load() {
			http.Error(w, "broken", http.StatusInternalServerError)
		}
	})
	return mux
}

// say tells the client and the log.
func say(w http.ResponseWriter, what string) {
	fmt.Println(what)
	fmt.Fprintln(w, what)
}

// compute uses what CPU it gets, so that there is something to see in graphs.
func compute(ctx context.Context, until time.Time) {
	sum := sha256.Sum256(nil)
	for ctx.Err() == nil && time.Now().Before(until) {
		for range 1000 {
			sum = sha256.Sum256(sum[:])
		}
	}
}
