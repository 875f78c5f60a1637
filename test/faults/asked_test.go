package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/record"
)

// answerWithin is long: what is judged is whether there is an answer, on a
// machine that others use.
const answerWithin = 15 * time.Second

// ask begins to ask, from outside and all the time, the pods whose manifests
// are left alone: no fault above them may be felt. The function that it
// returns ends that, and fails the test for each question without an answer.
func (c *campaign) ask(outside string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	var mu sync.Mutex
	var failures []string
	asked := 0
	for _, s := range c.subjects {
		if !s.asked {
			continue
		}
		group.Go(func() {
			for ctx.Err() == nil {
				at := record.Now()
				err := get(outside, harness.Host4, s.port)
				mu.Lock()
				asked++
				if err != nil {
					failures = append(failures, fmt.Sprintf("UNANSWERED %s at %s: %v", s.pod, at, err))
				}
				mu.Unlock()
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	return func() {
		cancel()
		group.Wait()
		c.counts["asked from outside"] = asked
		if asked == 0 {
			c.t.Error("nobody was asked")
		}
		for _, f := range failures[:min(len(failures), 10)] {
			c.t.Error(f)
		}
		if len(failures) > 0 {
			c.t.Errorf("%d of %d questions had no answer", len(failures), asked)
		}
	}
}

// serves tells why a pod with a network is not ready, or does not answer at
// its port of the host.
func (s *subject) serves(p *corev1.Pod) error {
	if !s.network || s.mode != wanted {
		return nil
	}
	if c := p.Status.ContainerStatuses; len(c) == 0 || !c[0].Ready {
		return errors.New("it is not ready")
	}
	return get(harness.HostNetwork, "127.0.0.1", s.port)
}

// get asks once, on a connection of its own.
func get(from, address string, port int) error {
	client := http.Client{Timeout: answerWithin, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, proto, address string) (net.Conn, error) {
			return harness.DialFrom(from, proto, address, answerWithin)
		},
	}}
	resp, err := client.Get(fmt.Sprintf("http://%s:%d/healthz", address, port))
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}
