package host

import (
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/test/guest"
)

func TestHost(t *testing.T) {
	for _, suite := range []guest.Suite{guest.Debian12, guest.Debian13} {
		t.Run(string(suite), func(t *testing.T) {
			n := newNode(t, guest.Options{Suite: suite})
			t.Logf("booted in %s", n.Booted)
			began := time.Now()
			n.install("")
			t.Logf("installed in %s", time.Since(began))
			began = time.Now()
			n.Want(wants("web", "1"))
			n.Write("web.yaml", witnessPod("web", "1", "", "ports: [{containerPort: 8080, hostPort: 8080}]\nargs: [-listen, ':8080']\nreadinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 2}\n"))
			p := n.WaitReady("default/web")
			t.Logf("ready in %s: %s", time.Since(began), p.Status.PodIP)
			out := n.Run("podstead", "get", "pods")
			t.Logf("\n%s", out)
			if !strings.Contains(out, "web") || !strings.Contains(out, "1/1") {
				t.Errorf("podstead get pods: %s", out)
			}
			from := n.Now()
			n.Fetch()
			n.Reboot()
			t.Logf("reboot: booted in %s", n.Booted)
			n.newBoot()
			n.Fault("reboot", "", from)
			began = time.Now()
			n.WaitReady("default/web")
			t.Logf("ready in %s", time.Since(began))
			from = n.Now()
			n.Fetch()
			n.PowerCut()
			n.PowerOn()
			t.Logf("power cut: booted in %s", n.Booted)
			n.newBoot()
			n.Fault("power cut", "", from)
			began = time.Now()
			n.WaitReady("default/web")
			t.Logf("ready in %s", time.Since(began))
			t.Logf("%s", n.Run("podstead", "get", "pods"))
			n.Judge()
		})
	}
}
