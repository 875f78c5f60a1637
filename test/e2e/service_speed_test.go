package e2e

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/test/harness"
)

// How soon what decides about a Service is in the rules, and how many Services
// there are meanwhile.
const (
	manyAtOnce = 1000
	allWithin  = time.Second
	oneWithin  = 50 * time.Millisecond
	// readWithin is what it takes beside to notice a file and to read it.
	readWithin = 100 * time.Millisecond
)

// TestChangesOfServicesAreQuick measures the whole way that a change goes
// through podstead, with 1,000 Services: from a manifest that is put into
// place, or a probe that is answered, to the first connection by the new
// rules.
func TestChangesOfServicesAreQuick(t *testing.T) {
	h := harness.New(t, harness.Options{})
	addResponder(t, h)
	h.Start()
	h.Write("flap.yaml", labelled(answering("flap", strings.Replace(readiness, "periodSeconds: 1", "periodSeconds: 1, failureThreshold: 1", 1)), "app: flap"))
	flap := placeOf(t, h, h.WaitRunning("default/flap", time.Minute))
	other := placed(t, h, "other", answering("other", ""))
	v4, _ := serviceIP(h, 31)
	h.Write("flap-svc.yaml", svc("flap", fmt.Sprintf("clusterIP: %s\nselector: {app: flap}\nports: [{port: 80}]\n", v4)))
	reached(h, theHost, "tcp", at(v4, 80), "flap")

	measure(t, "1,000 Services are in the rules, after their manifest was put into place", allWithin, 3, func(try int) time.Duration {
		if try > 0 {
			h.Remove("many.yaml")
			refused(h, theHost, at(serviceV6(h, manyAtOnce), 80))
		}
		h.Write("many.yaml", manyByHand(h, manyAtOnce, other.v6))
		took := answersAfter(t, at(serviceV6(h, manyAtOnce), 80), time.Now(), "other")
		reached(h, theHost, "tcp", at(serviceV6(h, 1), 80), "other")
		return took
	})

	one, _ := serviceIP(h, 32)
	measure(t, "one change among them, after its manifest was put into place", oneWithin+readWithin, 10, func(try int) time.Duration {
		time.Sleep(200 * time.Millisecond) // what the change before caused is over
		name, ip := "flap", flap.v4
		if try%2 == 1 {
			name, ip = "other", other.v4
		}
		h.Write("one.yaml", svc("one", fmt.Sprintf("clusterIP: %s\nports: [{port: 80}]\n", one))+"---\n"+slice("one", "IPv4", ip))
		return answersAfter(t, at(one, 80), time.Now(), name)
	})

	measure(t, "a change of readiness, after the probe's answer", oneWithin, 12, func(try int) time.Duration {
		ok, want := "0", ""
		if try%2 == 1 {
			ok, want = "1", "flap"
		}
		told := time.Now()
		tell(t, flap, ok)
		answersAfter(t, at(v4, 80), told, want)
		changed := time.Now()
		return changed.Sub(askedAfter(t, flap, told))
	})
}

// serviceV6 is the address of one of many Services.
func serviceV6(h *harness.Host, number int) string {
	_, v6 := serviceIP(h, 0x1000+number)
	return v6
}

// slice is an EndpointSlice that nobody but its manifest wants.
func slice(of, addressType, ip string) string {
	return fmt.Sprintf(`apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s-1, labels: {kubernetes.io/service-name: %[1]s}}
addressType: %[2]s
ports: [{port: 80}]
endpoints: [{addresses: [%[3]q]}]
`, of, addressType, ip)
}

// manyByHand are Services with an endpoint each.
func manyByHand(h *harness.Host, n int, ip string) string {
	var text strings.Builder
	for i := 1; i <= n; i++ {
		name := fmt.Sprintf("many-%04d", i)
		text.WriteString(svc(name, fmt.Sprintf("clusterIP: %q\nipFamilies: [IPv6]\nports: [{port: 80}]\n", serviceV6(h, i))))
		text.WriteString("---\n" + slice(name, "IPv6", ip) + "---\n")
	}
	return text.String()
}

// answersAfter asks at an address until the one answers that is meant, or
// until it is refused if nobody is, and returns how long that took.
func answersAfter(t *testing.T, address string, since time.Time, name string) time.Duration {
	t.Helper()
	for time.Since(since) < waitKernel {
		got, err := ask(theHost, "tcp", address, answerWithin)
		if name == "" && err != nil || name != "" && strings.HasPrefix(got, name+" ") {
			return time.Since(since)
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s does not lead to %q within %s", address, name, waitKernel)
	return 0
}

// askedAfter is when a responder was asked first for its health after a
// moment.
func askedAfter(t *testing.T, of place, since time.Time) time.Time {
	t.Helper()
	answer, err := clientFrom(theHost, func(t *http.Transport) { t.DisableKeepAlives = true }).Get("http://" + at(of.v4, 8080) + "/asked")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var first time.Time
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		ms, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if asked := time.UnixMilli(ms); first.IsZero() && asked.After(since) {
			first = asked
		}
	}
	if first.IsZero() {
		t.Fatal("its rules changed, and nobody had asked for its health")
	}
	return first
}

// measure tries something some times, and as long as no try was within its
// bound, which is promised for a machine that has nothing else to do, up to ten
// times as often. The test fails if the quickest took twice as long.
func measure(t *testing.T, what string, bound time.Duration, tries int, try func(int) time.Duration) {
	t.Helper()
	var took []time.Duration
	for i := 0; i < tries || i < 10*tries && slices.Min(took) > bound; i++ {
		took = append(took, try(i))
	}
	slices.Sort(took)
	best, median, worst := took[0], took[len(took)/2], took[len(took)-1]
	t.Logf("%s: %s at best of %d, median %s, worst %s", what, best.Round(time.Millisecond), len(took), median.Round(time.Millisecond), worst.Round(time.Millisecond))
	if best > 2*bound {
		t.Errorf("%s: %s at best of %d tries, want %s", what, best, len(took), bound)
	}
}
