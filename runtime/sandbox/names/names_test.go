package names_test

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/sandbox/names"
)

// web is a pod default/web with a changed spec.
func web(change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
	if change != nil {
		change(p)
	}
	return p
}

func TestOf(t *testing.T) {
	label := strings.Repeat("s", 39) // with web and default 64 characters
	for name, tc := range map[string]struct {
		change               func(*corev1.Pod)
		host, domain, kernel string
	}{
		"name":           {nil, "web", "", "web"},
		"hostname":       {func(p *corev1.Pod) { p.Spec.Hostname = "front" }, "front", "", "front"},
		"name with dots": {func(p *corev1.Pod) { p.Name = "web.example.org" }, "web.example.org", "", "web.example.org"},
		"long name":      {func(p *corev1.Pod) { p.Name = strings.Repeat("a", 70) }, strings.Repeat("a", 63), "", strings.Repeat("a", 63)},
		"cut at a dash":  {func(p *corev1.Pod) { p.Name = strings.Repeat("a", 62) + "-bcd" }, strings.Repeat("a", 62), "", strings.Repeat("a", 62)},
		"subdomain": {func(p *corev1.Pod) { p.Spec.Subdomain = "shop" },
			"web", "shop.default.svc.cluster.local", "web"},
		"FQDN": {func(p *corev1.Pod) { p.Spec.Subdomain, p.Spec.SetHostnameAsFQDN = "shop", new(true) },
			"web", "shop.default.svc.cluster.local", "web.shop.default.svc.cluster.local"},
		"FQDN without subdomain": {func(p *corev1.Pod) { p.Spec.SetHostnameAsFQDN = new(true) }, "web", "", "web"},
		"FQDN not asked for": {func(p *corev1.Pod) { p.Spec.Subdomain, p.Spec.SetHostnameAsFQDN = label, new(false) },
			"web", label + ".default.svc.cluster.local", "web"},
		"override": {func(p *corev1.Pod) {
			p.Spec.Hostname, p.Spec.Subdomain, p.Spec.HostnameOverride = "front", "shop", new("db.example.org")
		}, "db.example.org", "", "db.example.org"},
		"empty override": {func(p *corev1.Pod) { p.Spec.HostnameOverride = new("") }, "web", "", "web"},
		"override of 64": {func(p *corev1.Pod) { p.Spec.HostnameOverride = new(strings.Repeat("o", 64)) },
			strings.Repeat("o", 64), "", strings.Repeat("o", 64)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := names.Of(web(tc.change))
			if want := (names.Names{Host: tc.host, Domain: tc.domain, Kernel: tc.kernel}); err != nil || got != want {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

// Linux takes host names of 64 characters and no more.
func TestNamesThatLinuxDoesNotTake(t *testing.T) {
	fits := "web." + strings.Repeat("s", 34) + ".default.svc.cluster.local"
	if len(fits) != 64 {
		t.Fatalf("the test's name has %d characters", len(fits))
	}
	qualified := func(length int) *corev1.Pod {
		return web(func(p *corev1.Pod) {
			p.Spec.Subdomain, p.Spec.SetHostnameAsFQDN = strings.Repeat("s", length), new(true)
		})
	}
	if n, err := names.Of(qualified(34)); err != nil || n.Kernel != fits {
		t.Errorf("64 characters: %+v, %v", n, err)
	}
	_, err := names.Of(qualified(35))
	refused, ok := errors.AsType[*pod.Refused](err)
	if !ok || refused.Reason != "FailedCreatePodSandBox" {
		t.Fatalf("65 characters: %v, want a refusal", err)
	}
	for _, part := range []string{"default/web", "setHostnameAsFQDN", "65 characters", "at most 64", "does not start", "shorten"} {
		if !strings.Contains(refused.Message, part) {
			t.Errorf("%q lacks %q", refused.Message, part)
		}
	}
}
