package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/images"
)

const nginxConf = `
daemon off;
user www-data;
worker_processes 1;
error_log stderr;
pid /run/nginx.pid;
events {}
http {
  access_log /dev/stdout;
  server {
    listen 80;
    listen [::]:80;
    root /srv/www;
    location /data/ { alias /data/; }
  }
}
`

const nginxPod = `apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {app: web}
spec:
  containers:
  - name: nginx
    image: registry.example.org/library/nginx:%[1]s
    command: [nginx, -c, /etc/nginx/site/nginx.conf]
    ports:
    - {name: http, containerPort: 80, hostPort: 18080}
    startupProbe: {tcpSocket: {port: http}, periodSeconds: 1, failureThreshold: 60}
    readinessProbe: {httpGet: {path: /version, port: http}, periodSeconds: 1}
    livenessProbe: {httpGet: {path: /version, port: http}, periodSeconds: 5, timeoutSeconds: 5}
    resources:
      requests: {cpu: 100m, memory: 32Mi}
      limits: {cpu: 500m, memory: 64Mi}
    volumeMounts:
    - {name: conf, mountPath: /etc/nginx/site, readOnly: true}
    - {name: data, mountPath: /data}
  volumes:
  - name: conf
    hostPath: {path: %[2]s/conf, type: Directory}
  - name: data
    hostPath: {path: %[2]s/web, type: DirectoryOrCreate}
`

const redisPod = `apiVersion: v1
kind: Pod
metadata:
  name: redis
  labels: {app: redis}
spec:
  terminationGracePeriodSeconds: 20
  securityContext: {runAsUser: 999, runAsGroup: 999, runAsNonRoot: true}
  containers:
  - name: redis
    image: registry.example.org/library/redis:%[1]s
    args: [--bind, "*", "-::*", --protected-mode, "no", --dir, /data, --appendonly, "yes", --appendfsync, always]
    ports:
    - {containerPort: 6379, hostPort: 16379}
    readinessProbe: {exec: {command: [redis-cli, ping]}, periodSeconds: 2, timeoutSeconds: 2}
    livenessProbe: {tcpSocket: {port: 6379}, periodSeconds: 5, timeoutSeconds: 5}
    resources:
      limits: {cpu: 500m, memory: 64Mi}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
    volumeMounts:
    - {name: data, mountPath: /data}
  volumes:
  - name: data
    hostPath: {path: %[2]s/redis, type: Directory}
`

// TestRealInput runs what people run as they write it: nginx and redis out of
// Debian's packages, from a registry, with limits and data on the host, at
// ports of the host and judged by probes, through a crash and an update. A
// Prometheus beside them sees it all.
func TestRealInput(t *testing.T) {
	outside := harness.Outside(t)
	h := harness.New(t, harness.Options{Config: "restart: {base: 1s, max: 2s, reset: 10m}\nmetrics: {address: \"" + scraped + "\"}\n"})
	serveReal(t, h)
	folder(t, h, "conf")
	if err := os.WriteFile(filepath.Join(h.Data, "conf/nginx.conf"), []byte(nginxConf), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(folder(t, h, "redis"), 999, 999); err != nil {
		t.Fatal(err)
	}
	h.Start()
	before := h.Settled()
	h.Write("web.yaml", fmt.Sprintf(nginxPod, "1.22", h.Data))
	h.Write("redis.yaml", fmt.Sprintf(redisPod, "7.0", h.Data))
	web, redis := h.WaitRunning("default/web", time.Minute), h.WaitRunning("default/redis", time.Minute)
	graphs := runsPrometheus(t, h)
	for _, from := range []string{theHost, outside, graphs.netns} {
		serves(h, from, "/version", "1.22\n")
		answers(h, from, "PING", "+PONG")
	}
	answers(h, theHost, "SET greeting hello", "+OK")
	memoryLimit.wait(h, containerCgroup(h, web, "nginx"), "67108864")
	memoryLimit.wait(h, containerCgroup(h, redis, "redis"), "67108864")
	if err := os.WriteFile(filepath.Join(h.Data, "web/page"), []byte("from the host\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	serves(h, outside, "/data/page", "from the host\n")

	t.Run("a crash", func(t *testing.T) {
		h := h.For(t)
		killContainer(t, h, web, "nginx")
		killContainer(t, h, redis, "redis")
		web, redis = restarted(h, web), restarted(h, redis)
		serves(h, outside, "/data/page", "from the host\n")
		answers(h, outside, "GET greeting", "hello")
	})
	t.Run("an image update", func(t *testing.T) {
		h := h.For(t)
		h.Write("web.yaml", fmt.Sprintf(nginxPod, "1.22-b", h.Data))
		h.Write("redis.yaml", fmt.Sprintf(redisPod, "7.0-b", h.Data))
		serves(h, outside, "/version", "1.22-b\n")
		runsImage(h, "default/redis", "registry.example.org/library/redis:7.0-b")
		answers(h, outside, "GET greeting", "hello")
		out, err := h.CLI("logs", "web", "--tail", "5")
		if err != nil || !strings.Contains(out, `"GET /version HTTP/1.1" 200`) {
			t.Errorf("the log of nginx is %q, %v, want the request in it", out, err)
		}
	})
	t.Run("a Prometheus", func(t *testing.T) { prometheusSees(t, h.For(t), graphs) })
	h.Remove("web.yaml")
	h.Remove("redis.yaml")
	h.Remove("graphs.yaml")
	h.WaitGone("default/web", 40*time.Second)
	h.WaitGone("default/redis", 40*time.Second)
	h.WaitGone("default/graphs", 40*time.Second)
	h.NoLeaks(before, 20*time.Second)
	if text, err := os.ReadFile(filepath.Join(h.Data, "web/page")); err != nil || string(text) != "from the host\n" {
		t.Errorf("the data of the removed pod: %q, %v", text, err)
	}
}

// serveReal serves two tags of each image under a name of the registry.
func serveReal(t *testing.T, h *harness.Host) {
	t.Helper()
	r := images.NewRegistry()
	t.Cleanup(r.Close)
	if err := r.WriteHosts(h.Hosts, "registry.example.org"); err != nil {
		t.Fatal(err)
	}
	text := func(s string) images.File { return images.File{Mode: 0o644, Content: []byte(s)} }
	for _, i := range []struct{ name, tag, pkg, program string }{
		{"nginx", "1.22", "nginx", "/usr/sbin/nginx"}, {"nginx", "1.22-b", "nginx", "/usr/sbin/nginx"},
		{"redis", "7.0", "redis-server", "/usr/bin/redis-server"}, {"redis", "7.0-b", "redis-server", "/usr/bin/redis-server"},
		{"prometheus", "2.42", "prometheus", "/usr/bin/prometheus"},
	} {
		img, err := images.FromDebian(t.Context(), images.Options{
			Config: v1.Config{Entrypoint: []string{i.program}, Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}},
			Files: map[string]images.File{
				"/etc/passwd":      text("root:x:0:0:root:/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\nredis:x:999:999::/:/bin/sh\n"),
				"/etc/group":       text("root:x:0:\nwww-data:x:33:\nredis:x:999:\n"),
				"/srv/www/version": text(i.tag + "\n"),
				"/var/lib/nginx/":  {Mode: 0o755}, "/var/log/nginx/": {Mode: 0o755}, "/run/": {Mode: 0o755},
			},
		}, i.pkg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Push("library/"+i.name+":"+i.tag, img); err != nil {
			t.Fatal(err)
		}
	}
}

// serves waits until nginx answers at its port of the host.
func serves(h *harness.Host, from, path, want string) {
	client := clientAt(from)
	h.Eventually(time.Minute, func() error {
		resp, err := client.Get("http://" + at(host4, 18080) + path)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && string(body) != want {
			err = fmt.Errorf("%s answers %s, %q, want %q", path, resp.Status, body, want)
		}
		return err
	})
}

// clientAt makes its requests from a place.
func clientAt(from string) *http.Client {
	return &http.Client{Timeout: answerWithin, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, proto, address string) (net.Conn, error) {
			return harness.DialFrom(from, proto, address, answerWithin)
		},
	}}
}

// answers waits until redis answers a command with a line at its port of the
// host.
func answers(h *harness.Host, from, command, want string) {
	h.Eventually(time.Minute, func() error {
		conn, err := harness.DialFrom(from, "tcp", at(host6, 16379), answerWithin)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
			return err
		}
		lines := bufio.NewScanner(conn)
		var got []string
		for len(got) < 2 && lines.Scan() {
			got = append(got, lines.Text())
			if got[len(got)-1] == want {
				return nil
			}
			if !strings.HasPrefix(got[0], "$") {
				break
			}
		}
		if err := lines.Err(); err != nil {
			return err
		}
		return fmt.Errorf("%s answers %q, want %q", command, got, want)
	})
}

// restarted waits until a pod's container runs again after one crash.
func restarted(h *harness.Host, before corev1.Pod) corev1.Pod {
	return h.WaitPod("default/"+before.Name, time.Minute, func(p corev1.Pod) error {
		c := p.Status.ContainerStatuses[0]
		end := c.LastTerminationState.Terminated
		if c.State.Running == nil || c.RestartCount != 1 || p.UID != before.UID || end == nil || end.ExitCode != 137 {
			return fmt.Errorf("%+v, want it restarted once after exit code 137", c)
		}
		return nil
	})
}

// runsImage waits until a pod's container runs an image.
func runsImage(h *harness.Host, key, ref string) {
	h.WaitPod(key, time.Minute, func(p corev1.Pod) error {
		if c := p.Status.ContainerStatuses[0]; c.State.Running == nil || c.Image != ref {
			return fmt.Errorf("%+v, want it running %s", c, ref)
		}
		return nil
	})
}
