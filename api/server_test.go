package api_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/api/apitest"
	"github.com/podstead/podstead/pod"
)

func TestPodsAreSelected(t *testing.T) {
	d := &apitest.Daemon{}
	pending := view("shop", "web", func(v *pod.View) { v.Pod.Status.Phase = corev1.PodPending })
	d.Publish(pod.Snapshot{Version: 7, Pods: []pod.View{view("default", "db"), view("default", "web"), pending}})
	c, _ := serve(t, d)
	for name, test := range map[string]struct {
		options api.ListOptions
		want    []string
	}{
		"all":              {api.ListOptions{}, []string{"default/db", "default/web", "shop/web"}},
		"by namespace":     {api.ListOptions{Namespace: "shop"}, []string{"shop/web"}},
		"no such one":      {api.ListOptions{Namespace: "none"}, nil},
		"by label":         {api.ListOptions{LabelSelector: "app=web"}, []string{"default/web", "shop/web"}},
		"by set of labels": {api.ListOptions{LabelSelector: "app in (db)"}, []string{"default/db"}},
		"by field":         {api.ListOptions{FieldSelector: "status.phase!=Running"}, []string{"shop/web"}},
		"by both":          {api.ListOptions{LabelSelector: "app=web", FieldSelector: "status.phase=Running"}, []string{"default/web"}},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := c.Pods(t.Context(), test.options)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, names(list)); diff != "" {
				t.Errorf("pods (-want +got):\n%s", diff)
			}
			if list.ResourceVersion != "7" {
				t.Errorf("resource version %q, want 7", list.ResourceVersion)
			}
		})
	}
}

func TestOnePodIsItsNewestInstance(t *testing.T) {
	d := &apitest.Daemon{}
	newer := view("default", "web", func(v *pod.View) { v.Instance.Number = 2; v.Pod.UID = "uid-2" })
	d.Publish(pod.Snapshot{Pods: []pod.View{view("default", "web"), newer}})
	c, _ := serve(t, d)
	p, err := c.Pod(t.Context(), pod.Key{Namespace: "default", Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	if p.UID != "uid-2" || p.Kind != "Pod" || p.APIVersion != "v1" {
		t.Errorf("got %s %s of UID %s, want v1 Pod of UID uid-2", p.APIVersion, p.Kind, p.UID)
	}
}

func TestRefusalsAreStatuses(t *testing.T) {
	d := &apitest.Daemon{}
	d.Publish(pod.Snapshot{Pods: []pod.View{view("default", "web")}})
	c, _ := serve(t, d)
	web := pod.Key{Namespace: "default", Name: "web"}
	for name, test := range map[string]struct {
		err    error
		is     func(error) bool
		saying string
	}{
		"no such pod": {
			second(c.Pod(t.Context(), pod.Key{Namespace: "default", Name: "gone"})), apierrors.IsNotFound, `pods "gone" not found`},
		"bad label selector": {
			second(c.Pods(t.Context(), api.ListOptions{LabelSelector: "a=="})), nil, ""},
		"bad selector": {
			second(c.Pods(t.Context(), api.ListOptions{LabelSelector: "!!"})), apierrors.IsBadRequest, "labelSelector"},
		"field that can't be selected": {
			second(c.Pods(t.Context(), api.ListOptions{FieldSelector: "spec.magic=1"})), apierrors.IsBadRequest, "spec.magic"},
		"no such container": {
			c.Restart(t.Context(), web, "db"), apierrors.IsBadRequest, "choose one of: [app]"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.is == nil {
				if test.err != nil {
					t.Fatalf("got %v, want no error", test.err)
				}
				return
			}
			if !test.is(test.err) || !strings.Contains(test.err.Error(), test.saying) {
				t.Errorf("got %v, want one that says %q", test.err, test.saying)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestBeforeTheFirstSnapshot(t *testing.T) {
	c, _ := serve(t, &apitest.Daemon{})
	_, err := c.Pods(t.Context(), api.ListOptions{})
	if !apierrors.IsServiceUnavailable(err) {
		t.Errorf("got %v, want service unavailable", err)
	}
}

func TestRestartIsPassedOn(t *testing.T) {
	d := &apitest.Daemon{}
	d.Publish(pod.Snapshot{Pods: []pod.View{view("default", "web")}})
	c, _ := serve(t, d)
	key := pod.Key{Namespace: "default", Name: "web"}
	for _, container := range []string{"", "app"} {
		if err := c.Restart(t.Context(), key, container); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"default/web/", "default/web/app"}, d.Restarted()); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
}

func TestDetailsAndStatus(t *testing.T) {
	d := &apitest.Daemon{}
	v := view("default", "web", func(v *pod.View) {
		v.Notes = []string{"held"}
		v.Origin = pod.Origin{File: "/m/web.yaml", Line: 3, Column: 1}
		v.Problems = []pod.Problem{{Reason: pod.ReasonType, Message: "broken"}}
	})
	d.Publish(pod.Snapshot{
		Pods: []pod.View{v}, Node: pod.Node{Name: "edge"},
		Sources: []pod.SourceState{{Name: "files", Kind: "directory", Pods: make([]pod.Desired, 3)}},
		Images:  []pod.ImageView{{Ref: "img", Pulling: true, Progress: pod.ImageProgress{Done: 1, Total: 2}}},
	})
	c, _ := serve(t, d)
	details, err := c.Details(t.Context(), api.ListOptions{Namespace: "default"}, "web")
	if err != nil {
		t.Fatal(err)
	}
	got := details.Items[0]
	if got.Origin != v.Origin || got.Notes[0] != "held" || got.Problems[0].Message != "broken" || got.Containers[0].ID != "id-web" {
		t.Errorf("details are not those of the snapshot: %+v", got)
	}
	status, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status.Node.Name != "edge" || status.Sources[0].Objects[pod.KindPod] != 3 || status.Images[0].Total != 2 || status.Pods[corev1.PodRunning] != 1 {
		t.Errorf("status is not that of the snapshot: %+v", status)
	}
}

func TestReadyTellsWhatIsMissing(t *testing.T) {
	d := &apitest.Daemon{}
	_, socket := serve(t, d)
	check := func(code int, saying ...string) {
		t.Helper()
		got, body := raw(t, socket, "/readyz")
		if got != code {
			t.Errorf("status %d, want %d", got, code)
		}
		for _, s := range saying {
			if !strings.Contains(body, s) {
				t.Errorf("got %q, want it to say %q", body, s)
			}
		}
	}
	check(http.StatusServiceUnavailable, "first look")
	d.Publish(pod.Snapshot{
		Sources: []pod.SourceState{{Name: "fleet", Error: "timeout"}}, Runtime: pod.RuntimeState{Address: "/c.sock", Error: "refused"},
	})
	check(http.StatusServiceUnavailable, `"fleet"`, "timeout", "/c.sock", "refused")
	d.Publish(pod.Snapshot{Sources: []pod.SourceState{{Name: "fleet", Synced: true}}, Runtime: pod.RuntimeState{Up: true}})
	check(http.StatusOK, "ok")
}

func raw(t *testing.T, socket, path string) (int, string) {
	t.Helper()
	h := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	answer, err := h.Get("http://podstead" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var b strings.Builder
	if err := answer.Write(&b); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, b.String()
}

func TestUnknownPath(t *testing.T) {
	_, socket := serve(t, &apitest.Daemon{})
	code, body := raw(t, socket, "/api/v1/secrets")
	if code != http.StatusNotFound || !strings.Contains(body, `"kind":"Status"`) || !strings.Contains(body, "/api/v1/secrets") {
		t.Errorf("got %d %s", code, body)
	}
}

func TestSocketFile(t *testing.T) {
	run := func(socket string) error {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		s := api.New((&apitest.Daemon{}).Config(socket))
		go func() {
			<-s.Listening()
			cancel()
		}()
		return s.Run(ctx)
	}
	t.Run("is private and taken away", func(t *testing.T) {
		_, socket := serve(t, &apitest.Daemon{})
		if m := mode(t, socket); m != 0o600 {
			t.Errorf("socket has mode %#o, want 0600", m)
		}
		if m := mode(t, filepath.Dir(socket)); m != 0o700 {
			t.Errorf("folder has mode %#o, want 0700", m)
		}
		other := filepath.Join(t.TempDir(), "s")
		if err := run(other); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(other); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("socket is left behind: %v", err)
		}
	})
	t.Run("left by a killed podstead is replaced", func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "s")
		leaveSocket(t, socket)
		if err := run(socket); err != nil {
			t.Error(err)
		}
	})
	t.Run("of a living podstead is refused", func(t *testing.T) {
		_, socket := serve(t, &apitest.Daemon{})
		if err := run(socket); err == nil || !strings.Contains(err.Error(), "another podstead is running") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("that is no socket is refused", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := run(path); err == nil || !strings.Contains(err.Error(), "no socket") {
			t.Errorf("got %v", err)
		}
		if b, _ := os.ReadFile(path); string(b) != "precious" {
			t.Errorf("the file was changed to %q", b)
		}
	})
	t.Run("in a folder of others is refused", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := run(filepath.Join(dir, "s")); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("got %v", err)
		}
	})
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// leaveSocket leaves a socket that nobody listens at.
func leaveSocket(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
