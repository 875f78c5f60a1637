package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/podstead/podstead/test/harness"
)

// clients are real ones of Services that ask all the time. Each request that
// is not answered as it should be is counted.
type clients struct {
	ctx   context.Context
	end   context.CancelFunc
	group sync.WaitGroup

	mu     sync.Mutex
	asked  map[string]int
	failed []string
}

// kindsOfClients is how many there are of each way.
const kindsOfClients = 5

// every is how often each client of short requests asks.
const every = 25 * time.Millisecond

// longLasts is how long a download lasts.
const longLasts = 2 * time.Second

// newClients begins to ask from places, by name, at addresses: with a new
// connection for each request, with those that are kept, by HTTP/2, with long
// downloads, and by messages of WebSockets.
func newClients(ctx context.Context, ways map[string][2]string) *clients {
	c := &clients{asked: map[string]int{}}
	c.ctx, c.end = context.WithCancel(ctx)
	for who, way := range ways {
		for kind, change := range map[string]func(*http.Transport){
			"new connections": func(t *http.Transport) { t.DisableKeepAlives = true },
			"kept ones":       func(*http.Transport) {},
			"HTTP/2": func(t *http.Transport) {
				t.Protocols = new(http.Protocols)
				t.Protocols.SetUnencryptedHTTP2(true)
			},
		} {
			client := clientFrom(way[0], change)
			c.repeat(who+", "+kind, client, func() error { return c.once(client, "http://"+way[1]+"/who") })
		}
		client := clientFrom(way[0], func(t *http.Transport) { t.DisableKeepAlives = true })
		c.repeat(who+", long downloads", client, func() error { return c.once(client, fmt.Sprintf("http://%s/long?for=%s", way[1], longLasts)) })
		socket := &socket{client: clientFrom(way[0], func(*http.Transport) {}), url: "ws://" + way[1] + "/messages"}
		if strings.HasPrefix(who, "load balancer") { // The others stay with their server.
			socket.renew = 50
		}
		c.repeat(who+", messages", socket, socket.exchange)
	}
	return c
}

func clientFrom(place string, change func(*http.Transport)) *http.Client {
	t := &http.Transport{DialContext: func(_ context.Context, proto, address string) (net.Conn, error) {
		return harness.DialFrom(place, proto, address, answerWithin)
	}}
	change(t)
	return &http.Client{Transport: t, Timeout: 2 * answerWithin}
}

// repeat asks until the end.
func (c *clients) repeat(who string, client interface{ CloseIdleConnections() }, ask func() error) {
	c.group.Go(func() {
		defer client.CloseIdleConnections()
		for c.ctx.Err() == nil {
			err := ask()
			c.mu.Lock()
			c.asked[who]++
			if err != nil {
				c.failed = append(c.failed, fmt.Sprintf("%s %s: %v", time.Now().Format("15:04:05.000"), who, err))
			}
			c.mu.Unlock()
			time.Sleep(every)
		}
	})
}

func (c *clients) once(client *http.Client, url string) error {
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	want := 1
	if strings.Contains(url, "/long") {
		want = int(longLasts / (100 * time.Millisecond))
	}
	if lines := strings.Count(string(body), "\n"); err != nil || answer.StatusCode != http.StatusOK || lines != want {
		return fmt.Errorf("%s, %d lines, want %d: %w", answer.Status, lines, want, err)
	}
	return nil
}

// lost is how many requests have failed so far.
func (c *clients) lost() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.failed)
}

// finish ends all clients and returns how often they asked, and what failed.
func (c *clients) finish() (asked map[string]int, failed []string) {
	c.end()
	c.group.Wait()
	return c.asked, c.failed
}

// socket is a WebSocket, of one server after the other.
type socket struct {
	client *http.Client
	url    string
	conn   *websocket.Conn
	sent   int
	// renew is after how many messages it is opened anew; 0 for never.
	renew int
}

// exchange sends a message and wants it back. A server that goes away says so
// before it closes, and the message that it did not answer is for another one;
// any other end of a connection is a failure.
func (s *socket) exchange() error {
	if s.renew > 0 && s.sent%s.renew == 0 {
		s.CloseIdleConnections()
	}
	for {
		err := s.tryExchange()
		if err == nil {
			return nil
		}
		if s.conn != nil {
			_ = s.conn.CloseNow()
			s.conn = nil
		}
		if websocket.CloseStatus(err) != websocket.StatusGoingAway {
			return err
		}
	}
}

func (s *socket) tryExchange() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*answerWithin)
	defer cancel()
	if s.conn == nil {
		conn, _, err := websocket.Dial(ctx, s.url, &websocket.DialOptions{HTTPClient: s.client})
		if err != nil {
			return err
		}
		s.conn = conn
	}
	s.sent++
	message := fmt.Sprint("message ", s.sent)
	if err := s.conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		return fmt.Errorf("send %s: %w", message, err)
	}
	_, got, err := s.conn.Read(ctx)
	if err == nil && string(got) != message {
		err = fmt.Errorf("got %q", got)
	}
	if err != nil {
		return fmt.Errorf("answer to %s: %w", message, err)
	}
	return nil
}

func (s *socket) CloseIdleConnections() {
	if s.conn != nil {
		_ = s.conn.Close(websocket.StatusNormalClosure, "")
		s.conn = nil
	}
}
