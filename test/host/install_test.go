package host

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/images"
)

// image is that of witnesses.
const image = "example.org/witness:1"

// Places in a guest.
const (
	manifestsDir = "/etc/podstead/manifests"
	configPath   = "/etc/podstead/config.yaml"
	stateDir     = "/var/lib/podstead"
	imagesDir    = stateDir + "/images"
	runDir       = "/run/podstead"
	socketPath   = runDir + "/podstead.sock"
	witnessDir   = "/var/lib/witness"
	fleetDir     = "/srv/fleet"
	fleetAddress = "127.0.0.1:8099"
)

// config is the configuration of podstead, with a folder and a URL.
const config = `apiVersion: podstead.dev/v1alpha1
kind: Configuration
runtime: {containerd: /usr/libexec/podstead/containerd, logger: /usr/libexec/podstead/podstead-logger, pause: /usr/libexec/podstead/podstead-pause}
sources:
- {name: local, directory: {path: ` + manifestsDir + `}}
- name: fleet
  allowHostPaths: [` + witnessDir + `]
  url: {url: "http://` + fleetAddress + `/pods.yaml", interval: 2s, allowEmpty: true}
`

// bigImages is how many images of bigSize bytes there are, for imports that
// take a while.
const (
	bigImages = 6
	bigSize   = 24 << 20
)

func bigImage(i int) string { return fmt.Sprintf("example.org/big:%d", i%bigImages) }

// payload makes a folder of what guests install: programs and images.
func payload(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	bin, err := harness.Binaries()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"podstead", "podstead-logger", "podstead-pause", "containerd", "containerd-shim-runc-v2"} {
		copyInto(t, filepath.Join(dir, "bin"), filepath.Join(bin, name))
	}
	for _, name := range []string{"podstead.service", "podstead-containerd.service", "logind.conf.d/50-podstead.conf"} {
		copyInto(t, dir, "../../systemd/"+name)
	}
	writeImage(t, filepath.Join(dir, "witness.tar"), image, images.Options{})
	for i := range bigImages {
		content := make([]byte, bigSize)
		_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(content)
		writeImage(t, filepath.Join(dir, fmt.Sprintf("big-%d.tar", i)), bigImage(i),
			images.Options{Files: map[string]images.File{"/big": {Mode: 0o644, Content: content}}})
	}
	return dir
}

// writeImage writes an image of the witness as an archive.
func writeImage(t *testing.T, path, ref string, o images.Options) {
	t.Helper()
	img, err := images.FromGo(t.Context(), images.WitnessPackage, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := images.WriteDocker(path, map[string]v1.Image{ref: img}); err != nil {
		t.Fatal(err)
	}
}

func copyInto(t *testing.T, dir, from string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(from)), content, 0o755); err != nil {
		t.Fatal(err)
	}
}

// install installs podstead by hand, as its packages will, and starts it.
func (n *node) install() {
	n.t.Helper()
	n.Shell(`
install -d /usr/libexec/podstead ` + manifestsDir + ` ` + imagesDir + `
install -d -m 1777 ` + witnessDir + `
install /mnt/bin/podstead /usr/bin/
install /mnt/bin/podstead-* /mnt/bin/containerd* /usr/libexec/podstead/
cp /mnt/witness.tar ` + imagesDir + `
install -m 644 /mnt/podstead.service /mnt/podstead-containerd.service /etc/systemd/system/
install -D -m 644 -t /etc/systemd/logind.conf.d /mnt/50-podstead.conf
systemctl kill -s HUP systemd-logind
`)
	n.Put(configPath, config, 0o600)
	n.Shell("sync; systemctl daemon-reload; systemctl enable --now podstead.service")
}
