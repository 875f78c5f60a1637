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

// every is how often each client of short requests asks.
const every = 20 * time.Millisecond

// longLasts is how long a download lasts.
const longLasts = 2 * time.Second

// newClients begins to ask from places, by name, at addresses: with a new
// connection for each request, with those that are kept, by HTTP/2, and with
// long downloads.
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
			c.group.Go(func() { c.repeat(who+", "+kind, client, "http://"+way[1]+"/who", every) })
		}
		client := clientFrom(way[0], func(t *http.Transport) { t.DisableKeepAlives = true })
		c.group.Go(func() {
			c.repeat(who+", long downloads", client, fmt.Sprintf("http://%s/long?for=%s", way[1], longLasts), every)
		})
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

func (c *clients) repeat(who string, client *http.Client, url string, pause time.Duration) {
	defer client.CloseIdleConnections()
	for c.ctx.Err() == nil {
		err := c.once(client, url)
		c.mu.Lock()
		c.asked[who]++
		if err != nil {
			c.failed = append(c.failed, fmt.Sprintf("%s %s: %v", time.Now().Format("15:04:05.000"), who, err))
		}
		c.mu.Unlock()
		time.Sleep(pause)
	}
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

// finish ends all clients and returns how often they asked, and what failed.
func (c *clients) finish() (asked map[string]int, failed []string) {
	c.end()
	c.group.Wait()
	return c.asked, c.failed
}
