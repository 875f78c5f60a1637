// The page of the guestbook: what guests write goes to the redis at LEADER,
// and what they read comes from the one at FOLLOWER.
package main

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gomodule/redigo/redis"
)

const (
	// list is the key of all messages.
	list = "guestbook"
	// patience is how long redis may take.
	patience = 2 * time.Second
	// longest is how long a message may be, in bytes.
	longest = 1000
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	leader, follower := pool("LEADER"), pool("FOLLOWER")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { show(w, follower) })
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) { write(w, r, leader) })
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	web := &http.Server{Addr: ":8000", ReadHeaderTimeout: 5 * time.Second, Handler: mux}
	ended := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = web.Shutdown(context.Background())
	})
	if err := web.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	<-ended
	return nil
}

// pool keeps connections to the redis that a variable names.
func pool(variable string) *redis.Pool {
	address := os.Getenv(variable)
	return &redis.Pool{MaxIdle: 4, IdleTimeout: time.Minute, Dial: func() (redis.Conn, error) {
		return redis.Dial("tcp", address,
			redis.DialConnectTimeout(patience), redis.DialReadTimeout(patience), redis.DialWriteTimeout(patience))
	}}
}

func show(w http.ResponseWriter, from *redis.Pool) {
	conn := from.Get()
	defer conn.Close()
	messages, err := redis.Strings(conn.Do("LRANGE", list, 0, 99))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	fmt.Fprint(w, "<!DOCTYPE html><title>Guestbook</title><form method=post><input name=message autofocus></form><ul>\n")
	for _, m := range messages {
		fmt.Fprintf(w, "<li>%s\n", html.EscapeString(m))
	}
	fmt.Fprint(w, "</ul>\n")
}

func write(w http.ResponseWriter, r *http.Request, to *redis.Pool) {
	r.Body = http.MaxBytesReader(w, r.Body, 4*longest)
	message := r.FormValue("message")
	if message == "" || len(message) > longest {
		http.Error(w, fmt.Sprintf("a message has 1 to %d bytes", longest), http.StatusBadRequest)
		return
	}
	conn := to.Get()
	defer conn.Close()
	if _, err := conn.Do("LPUSH", list, message); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
