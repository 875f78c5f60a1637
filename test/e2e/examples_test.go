package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/podstead/podstead/examples/build"
	"github.com/podstead/podstead/test/harness"
)

// TestExamples runs the files of examples/ that stand for tutorials, as they
// are, with the images that "make run" builds.
func TestExamples(t *testing.T) {
	h := harness.New(t, harness.Options{})
	added := map[string]bool{}
	for _, name := range []string{"hello", "canary", "guestbook"} {
		for _, ref := range build.References(example(t, name)) {
			for _, version := range build.Versions(ref) {
				if added[version] {
					continue
				}
				added[version] = true
				img, err := build.Image(t.Context(), "../..", version)
				if err != nil {
					t.Fatal(err)
				}
				h.AddImage(version, img)
			}
		}
	}
	h.Start()
	before := h.Settled()
	t.Run("as", func(t *testing.T) {
		for name, try := range map[string]func(*testing.T, *harness.Host){
			"stateless": statelessExample, "canary": canaryExample, "guestbook": guestbookExample,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				try(t, h.For(t))
			})
		}
	})
	h.NoLeaks(before, time.Minute)
}

func example(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile("../../examples/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// apply writes an example with changes, pairs of old and new text.
func apply(t *testing.T, h *harness.Host, name string, changes ...string) {
	t.Helper()
	text := string(example(t, name))
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("examples/%s.yaml does not say %q", name, changes[i])
		}
		text = strings.ReplaceAll(text, changes[i], changes[i+1])
	}
	h.Write(name+".yaml", text)
}

func fetch(address string) (string, error) {
	client := clientFrom(theHost, func(t *http.Transport) { t.DisableKeepAlives = true })
	answer, err := client.Get("http://" + address + "/")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, body)
	}
	return string(body), err
}

// countVersions counts what many requests, one after the other, were answered.
func countVersions(address string, requests int) (byVersion map[string]int, failed []string) {
	byVersion = map[string]int{}
	for range requests {
		body, err := fetch(address)
		if err != nil {
			failed = append(failed, time.Now().Format("15:04:05.000 ")+err.Error())
			continue
		}
		_, version, _ := strings.Cut(strings.TrimSpace(body), "version ")
		byVersion[version]++
	}
	return byVersion, failed
}

// only waits until all of many requests are answered by one version.
func only(h *harness.Host, address, version string, within time.Duration) {
	h.Eventually(within, func() error {
		got, failed := countVersions(address, 30)
		if len(failed) > 0 || got[version] != 30 {
			return fmt.Errorf("%s answered %v, %v, want 30 of version %s", address, got, failed, version)
		}
		return nil
	})
}

// statelessExample scales a Deployment, updates it, and has a version that
// does not start taken back, while somebody asks all the time.
func statelessExample(t *testing.T, h *harness.Host) {
	const address = "127.0.0.1:8081"
	apply(t, h, "hello")
	only(h, address, "1", 2*time.Minute)
	ctx, end := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	asked, lost := 0, []string(nil)
	asking.Go(func() {
		for ctx.Err() == nil {
			_, failed := countVersions(address, 1)
			asked, lost = asked+1, append(lost, failed...)
			time.Sleep(every)
		}
	})
	ready := func(n int, image string) {
		h.Eventually(2*time.Minute, func() error { return readyPods(h, "app", "hello", n, image) })
	}
	apply(t, h, "hello", "replicas: 3", "replicas: 5")
	ready(5, "demo:1")
	apply(t, h, "hello", "demo:1", "demo:2")
	only(h, address, "2", 2*time.Minute)
	ready(3, "demo:2")
	time.Sleep(21 * time.Second) // its watch window: only then is it good
	apply(t, h, "hello", "demo:1", "demo:3")
	h.Eventually(2*time.Minute, func() error { return sawEvent(h, "RolledBack") })
	ready(3, "demo:2")
	only(h, address, "2", time.Minute)
	end()
	asking.Wait()
	if asked < 100 || len(lost) > 0 {
		t.Errorf("%d asked, %d lost, want none: %q", asked, len(lost), lost[:min(3, len(lost))])
	}
	h.Remove("hello.yaml")
	h.Eventually(time.Minute, func() error { return readyPods(h, "app", "hello", 0, "") })
}

func sawEvent(h *harness.Host, reason string) error {
	out, err := h.CLI("events", "-A")
	if err != nil || !strings.Contains(out, reason) {
		return fmt.Errorf("no event %s: %v\n%s", reason, err, out)
	}
	return nil
}

// readyPods wants so many pods with a label, all of them ready and of one
// image.
func readyPods(h *harness.Host, label, value string, n int, image string) error {
	found := 0
	for _, p := range h.Pods() {
		if p.Labels[label] != value {
			continue
		}
		found++
		if s := p.Status.ContainerStatuses; len(s) != 1 || !s[0].Ready || !strings.HasSuffix(imageOf(p), image) {
			return fmt.Errorf("pod %s is not ready with %s: %+v", p.Name, image, s)
		}
	}
	if found != n {
		return fmt.Errorf("%d pods with %s=%s, want %d", found, label, value, n)
	}
	return nil
}

// canaryExample has two Deployments behind one Service.
func canaryExample(t *testing.T, h *harness.Host) {
	const address, requests = "127.0.0.1:8083", 600
	apply(t, h, "canary")
	h.Eventually(2*time.Minute, func() error { return readyPods(h, "app", "shop", 5, "") })
	var got map[string]int
	h.Eventually(time.Minute, func() error {
		var failed []string
		if got, failed = countVersions(address, requests); len(failed) > 0 {
			return fmt.Errorf("%d requests failed: %s", len(failed), failed[0])
		}
		return nil
	})
	// A fifth are 120; so few or many as this are not seen in a lifetime.
	if n := got["2"]; n < 60 || n > 190 || got["1"]+n != requests {
		t.Errorf("versions answered %v of %d requests, want a fifth from version 2", got, requests)
	}
	apply(t, h, "canary", "replicas: 4", "replicas: 0", "replicas: 1", "replicas: 3")
	h.Eventually(time.Minute, func() error { return readyPods(h, "track", "canary", 3, "demo:2") })
	only(h, address, "2", time.Minute)
	h.Remove("canary.yaml")
	h.Eventually(time.Minute, func() error { return readyPods(h, "app", "shop", 0, "") })
}

// guestbookExample writes to the leader and reads from the followers.
func guestbookExample(t *testing.T, h *harness.Host) {
	const address = "127.0.0.1:8082"
	apply(t, h, "guestbook")
	h.Eventually(2*time.Minute, func() error {
		_, err := fetch(address)
		return err
	})
	h.Eventually(time.Minute, func() error { return readyPods(h, "role", "follower", 2, "redis:1") })
	client := clientFrom(theHost, func(*http.Transport) {})
	for _, message := range []string{"Hello from a test", "<b>and another</b>"} {
		answer, err := client.PostForm("http://"+address+"/", url.Values{"message": {message}})
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("writing %q: %s", message, answer.Status)
		}
	}
	h.Eventually(time.Minute, func() error {
		page, err := fetch(address)
		if err != nil || !strings.Contains(page, "<li>&lt;b&gt;and another&lt;/b&gt;\n<li>Hello from a test\n") {
			return fmt.Errorf("the page is %q, %v, want both messages, the newest first", page, err)
		}
		return nil
	})
	h.Remove("guestbook.yaml")
	h.Eventually(time.Minute, func() error { return readyPods(h, "app", "guestbook", 0, "") })
}
