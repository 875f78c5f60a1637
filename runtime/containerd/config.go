package containerd

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// oomScore keeps containerd alive where containers' memory runs out.
const oomScore = -999

// shimLoadTime is how long a shim may take to answer a containerd that starts.
// After that containerd gives the shim up and kills its containers, by default
// after 5 s, which a busy server or a slow disk reaches. A shim that hangs delays
// containerd for so long.
const shimLoadTime = time.Minute

// disabled are the plug-ins that podstead has no use for. The restart monitor
// obeys labels that images may carry (CVE-2026-53488); the CRI and NRI plug-ins
// and image verifiers run programs found in shared folders; the rest only costs
// start-up time and memory. Naming a plug-in that was not built in is no error.
var disabled = []string{
	"io.containerd.cri.v1.images",
	"io.containerd.cri.v1.runtime",
	"io.containerd.grpc.v1.cri",
	"io.containerd.image-verifier.v1.bindir",
	"io.containerd.internal.v1.opt",
	"io.containerd.internal.v1.restart",
	"io.containerd.internal.v1.tracing",
	"io.containerd.monitor.container.v1.restart",
	"io.containerd.nri.v1.nri",
	"io.containerd.podsandbox.controller.v1.podsandbox",
	"io.containerd.snapshotter.v1.blockfile",
	"io.containerd.snapshotter.v1.btrfs",
	"io.containerd.snapshotter.v1.devmapper",
	"io.containerd.snapshotter.v1.erofs",
	"io.containerd.snapshotter.v1.zfs",
	"io.containerd.tracing.processor.v1.otlp",
}

// configFile is the configuration of a containerd 2.x that is podstead's own.
func configFile(c Config) string {
	var b strings.Builder
	fmt.Fprintln(&b, "# Written by podstead at every start of containerd; changes are lost.")
	fmt.Fprintln(&b, "version = 3")
	fmt.Fprintf(&b, "root = %s\n", strconv.Quote(c.Root))
	fmt.Fprintf(&b, "state = %s\n", strconv.Quote(c.State))
	// The default imports whatever lies in /etc/containerd/conf.d.
	fmt.Fprintln(&b, "imports = []")
	fmt.Fprintln(&b, "disabled_plugins = [")
	for _, id := range disabled {
		fmt.Fprintf(&b, "  %s,\n", strconv.Quote(id))
	}
	fmt.Fprintln(&b, "]")
	fmt.Fprintf(&b, "\n[grpc]\n  address = %s\n", strconv.Quote(c.Socket))
	fmt.Fprintf(&b, "\n[ttrpc]\n  address = %s\n", strconv.Quote(c.Socket+".ttrpc"))
	fmt.Fprintf(&b, "\n[debug]\n  level = \"warn\"\n")
	fmt.Fprintf(&b, "\n[timeouts]\n  \"io.containerd.timeout.shim.load\" = %s\n", strconv.Quote(shimLoadTime.String()))
	return b.String()
}
