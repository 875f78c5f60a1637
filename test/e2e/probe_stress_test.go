package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/test/harness"
)

// TestProbesOfAllKinds judges by a program that answers all of them.
func TestProbesOfAllKinds(t *testing.T) {
	h := harness.New(t, harness.Options{Config: "restart: {base: 1s, max: 2s, reset: 10m}\n"})
	addResponder(t, h)
	h.Start()
	t.Run("Row38_GRPCLivenessRestarts", func(t *testing.T) { grpcLiveness(t, h.For(t)) })
	t.Run("Row70_FiftyContainersAreNotMisjudged", func(t *testing.T) { fiftyProbed(t, h.For(t)) })
}

func grpcLiveness(t *testing.T, h *harness.Host) {
	p := placed(t, h, "grpc", answering("grpc", "livenessProbe: {grpc: {port: 9000}, periodSeconds: 1, failureThreshold: 2}\n"+
		"readinessProbe: {grpc: {port: 9000}, periodSeconds: 1, failureThreshold: 1}\n"))
	time.Sleep(3 * time.Second) // in which a wrong judgement would have ended it
	if c := becomes(h, "grpc", true); c.RestartCount != 0 {
		t.Errorf("it serves and was restarted %d times", c.RestartCount)
	}
	resp, err := http.Get("http://" + at(p.v4, 8080) + "/health?ok=0")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	restartedAtLeast(h, "grpc", 1)
	tells(h, "grpc", "Unhealthy", "NOT_SERVING")
	becomes(h, "grpc", true)
	h.Remove("grpc.yaml")
	h.WaitGone("default/grpc", time.Minute)
}

// fiftyProbed are ten pods of five containers, each with a liveness and a
// readiness probe every second.
func fiftyProbed(t *testing.T, h *harness.Host) {
	const pods, each, watched = 10, 5, 30 * time.Second
	for n := range pods {
		h.Write(fmt.Sprintf("stress-%d.yaml", n), manifest(fmt.Sprintf("stress-%d", n), stressed(n, each)))
	}
	for n := range pods {
		h.WaitRunning(fmt.Sprintf("default/stress-%d", n), 2*time.Minute)
	}
	before, begun := cpuTime(t, h.PID()), time.Now()
	for time.Since(begun) < watched {
		time.Sleep(2 * time.Second)
		for _, p := range h.Pods() {
			for _, c := range p.Status.ContainerStatuses {
				if c.RestartCount != 0 || c.State.Running == nil {
					t.Fatalf("%s/%s: %+v, want it running and never restarted", p.Name, c.Name, c)
				}
			}
		}
	}
	used := cpuTime(t, h.PID()) - before
	t.Logf("podstead used %s of CPU in %s", used, time.Since(begun).Round(time.Second))
	if used > watched/2 {
		t.Errorf("podstead used %s of CPU in %s, want at most half of it", used, watched)
	}
	asked := 0
	for _, p := range h.Pods() {
		if strings.HasPrefix(p.Name, "stress-") {
			asked += len(askedTimes(t, placeOf(t, h, p)))
		}
	}
	// Two a second on each of the ten containers that count, less what a busy
	// machine leaves out.
	if least := int(watched.Seconds()) * pods; asked < least {
		t.Errorf("the probes asked %d times, want at least %d", asked, least)
	}
}

// stressed are containers of one pod, each probed in another way. A command
// takes as long as the machine lets it, so it may be late more often.
func stressed(pod, containers int) string {
	var b strings.Builder
	b.WriteString("  containers:\n")
	for i := range containers {
		handlers := []string{
			"httpGet: {path: /healthz, port: 8080}, failureThreshold: 3",
			fmt.Sprintf("tcpSocket: {port: %d}, failureThreshold: 3", 80+i),
			fmt.Sprintf("grpc: {port: %d}, failureThreshold: 3", 9000+i),
			fmt.Sprintf("httpGet: {path: /asked, port: %d}, failureThreshold: 3", 8080+i),
			fmt.Sprintf("tcpSocket: {port: %d}, failureThreshold: 3", 80+i),
		}
		handler := handlers[i]
		if i == 4 && pod < 4 {
			handler = fmt.Sprintf("exec: {command: [/responder, -scan, 127.0.0.1, -scan-also, '%d']}, failureThreshold: 10", 80+i)
		}
		fmt.Fprintf(&b, "  - name: c%[1]d\n    image: %[2]s\n    args: [-answer, ':%[3]d', -http, ':%[4]d', -grpc, ':%[5]d']\n"+
			"    livenessProbe: {periodSeconds: 1, initialDelaySeconds: 2, %[6]s}\n    readinessProbe: {periodSeconds: 1, %[6]s}\n",
			i, responder, 80+i, 8080+i, 9000+i, handler)
	}
	return b.String()
}

// cpuTime is what a process has used, in user and system mode.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	// The name may hold spaces; utime and stime are the 12th and 13th after it.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, userErr := strconv.Atoi(fields[11])
	system, systemErr := strconv.Atoi(fields[12])
	if err := errors.Join(userErr, systemErr); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}
