package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// drainTime bounds how long requests that are under way may take at the end.
const drainTime = 20 * time.Second

// drain answers what is under way, as a careful server does when it is told to
// end.
func (s *state) drain() error {
	if s.web == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	s.sockets.leave()
	return errors.Join(s.web.Shutdown(ctx), s.sockets.wait(ctx))
}

func (s *state) who(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	lost := s.lose > 0
	s.lose = max(0, s.lose-1)
	s.mu.Unlock()
	if lost {
		// Half an answer is one that no client asks for again.
		w.Header().Set("Content-Length", "1000")
		fmt.Fprintln(w, s.name)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	fmt.Fprintln(w, s.name)
}

func (s *state) setLose(_ http.ResponseWriter, r *http.Request) {
	next, _ := strconv.Atoi(r.FormValue("next"))
	messages, _ := strconv.Atoi(r.FormValue("messages"))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose, s.loseMessages = next, messages
}

// longLine is how often a long answer goes on.
const longLine = 100 * time.Millisecond

func long(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.FormValue("for"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for i := range d / longLine {
		fmt.Fprintln(w, int(i))
		w.(http.Flusher).Flush()
		time.Sleep(longLine)
	}
}
