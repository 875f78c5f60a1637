package api_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/api/apitest"
	"github.com/podstead/podstead/pod"
)

// watchPods returns a channel of "TYPE namespace/name phase".
func watchPods(t *testing.T, c *api.Client, o api.ListOptions) <-chan string {
	t.Helper()
	seen := make(chan string)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- c.WatchPods(ctx, o, func(e watch.EventType, p *corev1.Pod) error {
			select {
			case seen <- fmt.Sprintf("%s %s/%s %s", e, p.Namespace, p.Name, p.Status.Phase):
			case <-ctx.Done():
			}
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := receive(t, done); err != nil {
			t.Errorf("watch: %v", err)
		}
	})
	return seen
}

func expect(t *testing.T, seen <-chan string, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := receive(t, seen); got != w {
			t.Fatalf("got %q, want %q", got, w)
		}
	}
}

func TestWatchTellsWhatChanged(t *testing.T) {
	d := &apitest.Daemon{}
	web, db := view("default", "web"), view("default", "db")
	d.Publish(pod.Snapshot{Version: 1, Pods: []pod.View{db, web}})
	c, _ := serve(t, d)
	seen := watchPods(t, c, api.ListOptions{Namespace: "default"})
	expect(t, seen, "ADDED default/db Running", "ADDED default/web Running")

	// An equal copy of db is no change, other namespaces are not meant.
	pending := view("default", "web", func(v *pod.View) { v.Pod.Status.Phase = corev1.PodPending })
	d.Publish(pod.Snapshot{Pods: []pod.View{view("default", "db"), pending, view("shop", "x")}})
	expect(t, seen, "MODIFIED default/web Pending")

	d.Publish(pod.Snapshot{Pods: []pod.View{pending}})
	expect(t, seen, "DELETED default/db Running")
}

func TestWatchOfLabelsSeesPodsComeAndGo(t *testing.T) {
	d := &apitest.Daemon{}
	web := view("default", "web")
	d.Publish(pod.Snapshot{Version: 1, Pods: []pod.View{web}})
	c, _ := serve(t, d)
	seen := watchPods(t, c, api.ListOptions{LabelSelector: "app=web"})
	expect(t, seen, "ADDED default/web Running")
	d.Publish(pod.Snapshot{Pods: []pod.View{view("default", "web", func(v *pod.View) { v.Pod.Labels = nil })}})
	expect(t, seen, "DELETED default/web Running")
	d.Publish(pod.Snapshot{Pods: []pod.View{web}})
	expect(t, seen, "ADDED default/web Running")
}

func TestWatchGoesOnFromAList(t *testing.T) {
	d := &apitest.Daemon{}
	d.Publish(pod.Snapshot{Version: 1, Pods: []pod.View{view("default", "old"), view("default", "web")}})
	c, _ := serve(t, d)
	list, err := c.Pods(t.Context(), api.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d.Publish(pod.Snapshot{Pods: []pod.View{view("default", "new"), view("default", "web")}})
	seen := watchPods(t, c, api.ListOptions{ResourceVersion: list.ResourceVersion})
	expect(t, seen, "ADDED default/new Running", "DELETED default/old Running")
}

func TestWatchFromAForgottenVersionExpires(t *testing.T) {
	d := &apitest.Daemon{}
	d.Publish(pod.Snapshot{Version: 5})
	c, _ := serve(t, d)
	err := c.WatchPods(t.Context(), api.ListOptions{ResourceVersion: "3"}, nil)
	if !apierrors.IsResourceExpired(err) {
		t.Errorf("got %v, want expired", err)
	}
}

func TestWatchOfEvents(t *testing.T) {
	d := &apitest.Daemon{}
	event := func(name, about string, count int32) corev1.Event {
		return corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Count: count, Reason: "Started",
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: about, Namespace: "default"},
		}
	}
	d.Publish(pod.Snapshot{Version: 1, Events: []corev1.Event{event("a", "web", 1), event("b", "db", 1)}})
	c, _ := serve(t, d)
	seen := make(chan string)
	stop := errors.New("stop")
	done := make(chan error, 1)
	go func() {
		done <- c.WatchEvents(t.Context(), api.ListOptions{FieldSelector: "involvedObject.name=web"},
			func(e watch.EventType, ev *corev1.Event) error {
				seen <- fmt.Sprintf("%s %s %d", e, ev.Name, ev.Count)
				if ev.Count == 4 {
					return stop
				}
				return nil
			})
	}()
	expect(t, seen, "ADDED a 1")
	d.Publish(pod.Snapshot{Events: []corev1.Event{event("a", "web", 2), event("b", "db", 9)}})
	expect(t, seen, "MODIFIED a 2")
	// An event that was pushed out is no news.
	d.Publish(pod.Snapshot{Events: []corev1.Event{event("c", "web", 3)}})
	expect(t, seen, "ADDED c 3")
	d.Publish(pod.Snapshot{Events: []corev1.Event{event("d", "web", 4)}})
	expect(t, seen, "ADDED d 4")
	if err := receive(t, done); !errors.Is(err, stop) {
		t.Errorf("got %v, want the error of the caller", err)
	}
}

// A watcher that does not read must not keep snapshots from being published,
// other clients from being served, nor the server from ending; when it reads
// again it gets the newest state and not all that it missed.
func TestSlowWatcherHoldsNobodyUp(t *testing.T) {
	d := &apitest.Daemon{}
	big := func(generation int) pod.View {
		return view("default", "web", func(v *pod.View) {
			v.Pod.Annotations = map[string]string{"generation": fmt.Sprint(generation), "padding": strings.Repeat("x", 256<<10)}
		})
	}
	d.Publish(pod.Snapshot{Version: 1, Pods: []pod.View{big(0)}})
	c, socket := serve(t, d)
	slow, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := fmt.Fprint(slow, "GET /api/v1/pods?watch=true HTTP/1.1\r\nHost: podstead\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	const generations = 400
	for i := 1; i <= generations; i++ {
		d.Publish(pod.Snapshot{Pods: []pod.View{big(i)}})
	}
	if _, err := c.Pods(t.Context(), api.ListOptions{}); err != nil {
		t.Fatalf("another client: %v", err)
	}
	got := readUntil(t, slow, fmt.Sprintf(`"generation":"%d"`, generations))
	if states := strings.Count(got, `"type":`); states >= generations {
		t.Errorf("the slow watcher got all of %d states: nothing was coalesced", states)
	}
}

func readUntil(t *testing.T, c net.Conn, want string) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	buf := make([]byte, 64<<10)
	for !strings.Contains(all.String()[max(0, all.Len()-len(buf)-2*len(want)):], want) {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("the newest state never came: %v", err)
		}
		all.Write(buf[:n])
	}
	return all.String()
}
