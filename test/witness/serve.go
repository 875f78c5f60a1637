package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// serve answers, at unix:PATH or HOST:PORT:
//
//	/healthz        200 or 500, as /health?ok= has set it
//	/health?ok=0    sets what /healthz answers
//	/slow?ms=N      answers after N milliseconds
//	/exit?c=N       ends the witness with code N
//	/alloc?b=N      uses N bytes of memory
//	/flood?n=N&size=S&us=P   prints N lines of S bytes, pausing P µs
//	/fork?n=N, /zombie?n=N   has N more children
func serve(address string, exits chan<- int) error {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
		// One that an earlier run left behind.
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	go func() {
		fmt.Fprintln(os.Stderr, "witness:", http.Serve(l, routes(exits)))
		exits <- 72
	}()
	return nil
}

func routes(exits chan<- int) http.Handler {
	var ill atomic.Bool
	number := func(r *http.Request, key string) int {
		n, _ := strconv.Atoi(r.FormValue(key))
		return n
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {
		if ill.Load() {
			http.Error(w, "ill", http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) { ill.Store(r.FormValue("ok") == "0") })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Duration(number(r, "ms")) * time.Millisecond)
	})
	mux.HandleFunc("/exit", func(w http.ResponseWriter, r *http.Request) { exits <- number(r, "c") })
	mux.HandleFunc("/alloc", func(w http.ResponseWriter, r *http.Request) { go hold(int64(number(r, "b"))) })
	mux.HandleFunc("/flood", func(w http.ResponseWriter, r *http.Request) {
		go flood(os.Stdout, number(r, "n"), number(r, "size"), time.Duration(number(r, "us"))*time.Microsecond)
	})
	mux.HandleFunc("/fork", func(w http.ResponseWriter, r *http.Request) { forkAll(w, number(r, "n"), "1h") })
	mux.HandleFunc("/zombie", func(w http.ResponseWriter, r *http.Request) { forkAll(w, number(r, "n"), "0s") })
	return mux
}

func forkAll(w http.ResponseWriter, n int, life string) {
	for range n {
		if err := fork(life); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
}
