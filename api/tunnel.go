package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// stallTime is how long a write to a connection may be stuck before the other
// side of the tunnel is looked at.
const stallTime = 10 * time.Second

// errEnded is the end of a tunnel whose other side saw both directions end.
var errEnded = errors.New("both directions have ended")

// tunnel carries the bytes of a connection over a websocket, both ways. The
// side that sends on a channel ends it with channelClose, which shuts down
// writing to the connection at the other side: each direction ends alone.
type tunnel struct {
	ws   *websocket.Conn
	conn net.Conn
	// send and receive are the channels.
	send, receive byte
	stallTime     time.Duration
}

// run returns when both directions have ended, with the first error of
// either, or when ctx ends, with its cause. It closes the connection and the
// websocket.
func (t tunnel) run(ctx context.Context) error {
	// The websocket outlives an error, to tell the other side of it.
	carrying, stopCarrying := context.WithCancel(ctx)
	defer stopCarrying()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	// Closing is what wakes reads and writes of a connection.
	stop := context.AfterFunc(ctx, func() { _ = t.conn.Close() })
	defer stop()
	t.ws.SetReadLimit(maxMessage)
	sent, received := make(chan struct{}), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { t.sendAll(carrying, sent, fail) })
	running.Go(func() { t.receiveAll(carrying, received, fail) })
	for _, direction := range []<-chan struct{}{sent, received} {
		select {
		case <-direction:
		case <-ctx.Done():
		}
	}
	err := context.Cause(ctx)
	if errors.Is(err, errEnded) {
		err = nil
	}
	t.end(err)
	stopCarrying()
	_ = t.conn.Close()
	running.Wait()
	return err
}

// end tells the other side that it was the end, or why.
func (t tunnel) end(err error) {
	if err == nil {
		_ = t.ws.Close(websocket.StatusNormalClosure, "")
	} else if reason := err.Error(); !errors.Is(err, context.Canceled) {
		// A close frame has room for 123 bytes.
		reason = strings.ToValidUTF8(reason[:min(len(reason), 123)], "")
		_ = t.ws.Close(websocket.StatusInternalError, reason)
	}
	_ = t.ws.CloseNow()
}

func (t tunnel) sendAll(ctx context.Context, sent chan<- struct{}, fail context.CancelCauseFunc) {
	if _, err := io.Copy(channelWriter{ctx, t.ws, t.send}, t.conn); err != nil {
		fail(err)
		return
	}
	if _, err := (channelWriter{ctx, t.ws, channelClose}).Write([]byte{t.send}); err != nil {
		fail(err)
		return
	}
	close(sent)
}

// receiveAll goes on reading after the direction has ended: so it sees the
// other side go away.
func (t tunnel) receiveAll(ctx context.Context, received chan<- struct{}, fail context.CancelCauseFunc) {
	ended := false
	for {
		kind, message, err := t.ws.Read(ctx)
		if err != nil {
			fail(t.otherSide(err))
			return
		}
		if kind != websocket.MessageBinary || len(message) == 0 || ended {
			continue
		}
		switch content := message[1:]; {
		case message[0] == t.receive:
			err = t.write(ctx, content)
		case message[0] == channelClose && len(content) == 1 && content[0] == t.receive:
			ended, err = true, closeWrite(t.conn)
			close(received)
		}
		if err != nil {
			fail(err)
			return
		}
	}
}

// otherSide words the end of the websocket.
func (t tunnel) otherSide(err error) error {
	var closed websocket.CloseError
	if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
		return errEnded
	}
	if errors.As(err, &closed) && closed.Reason != "" {
		return errors.New(closed.Reason)
	}
	return fmt.Errorf("the other side ended the connection: %w", err)
}

// write waits for a connection that takes nothing as long as the other side
// of the tunnel is there. While it waits nobody reads the websocket, so that
// is asked by a message without content: a socket without a reader refuses
// it.
func (t tunnel) write(ctx context.Context, content []byte) error {
	for {
		if err := t.conn.SetWriteDeadline(time.Now().Add(t.stallTime)); err != nil {
			return err
		}
		n, err := t.conn.Write(content)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		content = content[n:]
		if err := t.ws.Write(ctx, websocket.MessageBinary, []byte{t.send}); err != nil {
			return t.otherSide(err)
		}
	}
}

// closeWrite tells a connection's peer that no more comes. One that can't be
// half closed is left open until both directions have ended.
func closeWrite(conn net.Conn) error {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	return half.CloseWrite()
}
