package main

import (
	"context"
	"net/http"
	"sync"

	"github.com/coder/websocket"
)

// sockets are the WebSockets that are open.
type sockets struct {
	leaving context.Context
	leave   context.CancelFunc
	open    sync.WaitGroup
}

func newSockets() sockets {
	ctx, cancel := context.WithCancel(context.Background())
	return sockets{leaving: ctx, leave: cancel}
}

// wait waits until none is open; http.Server.Shutdown does not.
func (s *sockets) wait(ctx context.Context) error {
	none := make(chan struct{})
	go func() {
		s.open.Wait()
		close(none)
	}()
	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// messages sends each message back. When the responder is told to end, it
// closes the socket with status 1001 (going away), and the client goes to
// another one, with the message that was not answered.
func (s *state) messages(w http.ResponseWriter, r *http.Request) {
	s.sockets.open.Add(1)
	defer s.sockets.open.Done()
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	defer context.AfterFunc(s.sockets.leaving, func() { _ = c.Close(websocket.StatusGoingAway, "") })()
	for {
		kind, message, err := c.Read(context.Background())
		if err != nil || s.losesMessage() {
			return
		}
		// After the frame that closes nothing can be written; what the client
		// says until it has seen that is read, since to end a connection with
		// unread data would take the frame back.
		_ = c.Write(context.Background(), kind, message)
	}
}

func (s *state) losesMessage() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := s.loseMessages > 0
	s.loseMessages = max(0, s.loseMessages-1)
	return lost
}
