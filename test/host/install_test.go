package host

import (
	"os"
	"path/filepath"
	"strings"
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
	imagesDir    = "/var/lib/podstead/images"
	witnessDir   = "/var/lib/witness"
	configPath   = "/etc/podstead/config.yaml"
	socketPath   = "/run/podstead/podstead.sock"
)

// payload makes a folder of what guests install: programs and images.
func payload(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	bin, err := harness.Binaries()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"podstead", "podstead-logger", "podstead-pause", "containerd", "containerd-shim-runc-v2"} {
		link(t, filepath.Join(bin, name), filepath.Join(dir, "bin", name))
	}
	link(t, "../../systemd/podstead.service", filepath.Join(dir, "podstead.service"))
	img, err := images.FromGo(t.Context(), images.WitnessPackage, images.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "images"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := images.WriteDocker(filepath.Join(dir, "images", "witness.tar"), map[string]v1.Image{image: img}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// link copies a file.
func link(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o755); err != nil {
		t.Fatal(err)
	}
}

// install installs podstead by hand, as its packages will, and starts it.
func (n *node) install(config string) {
	n.t.Helper()
	n.Shell(`
install -d /usr/libexec/podstead ` + manifestsDir + ` ` + imagesDir + `
install -d -m 1777 ` + witnessDir + `
install /mnt/bin/podstead /usr/bin/
install /mnt/bin/podstead-logger /mnt/bin/podstead-pause /mnt/bin/containerd /mnt/bin/containerd-shim-runc-v2 /usr/libexec/podstead/
cp /mnt/images/* ` + imagesDir + `
sed s,/usr/local/bin/,/usr/bin/, /mnt/podstead.service >/etc/systemd/system/podstead.service
sync`)
	n.Put(configPath, strings.TrimSpace(`
apiVersion: podstead.dev/v1alpha1
kind: Configuration
runtime: {containerd: /usr/libexec/podstead/containerd, logger: /usr/libexec/podstead/podstead-logger, pause: /usr/libexec/podstead/podstead-pause}
sources:
- {name: local, directory: {path: `+manifestsDir+`}}
`)+"\n"+config, 0o600)
	n.Run("systemctl", "daemon-reload")
	n.Run("systemctl", "enable", "--now", "podstead.service")
}
