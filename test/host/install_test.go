package host

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

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

// pulledImages is how many images of pulledSize bytes a registry has that
// gives pulledRate bytes in a second.
const (
	pulledImages = 5
	pulledSize   = 12 << 20
	pulledRate   = 2 << 20
)

func bigImage(i int) string { return fmt.Sprintf("example.org/big:%d", i%bigImages) }

// packagesDir is where make packages puts packages.
const packagesDir = "../../bin/packages"

// payload makes a folder of what guests install: the package, a newer one, and
// images.
func payload(t *testing.T) string {
	t.Helper()
	debs, err := filepath.Glob(packagesDir + "/podstead_*_amd64.deb")
	if err != nil || len(debs) != 1 {
		t.Fatalf("packages in %s: %q, want one: make test-host builds it (%v)", packagesDir, debs, err)
	}
	dir := t.TempDir()
	copyFile(t, debs[0], filepath.Join(dir, "podstead.deb"))
	newer(t, debs[0], filepath.Join(dir, "newer.deb"))
	if *older != "" {
		copyFile(t, *older, filepath.Join(dir, "older.deb"))
	}
	writeImage(t, filepath.Join(dir, "witness.tar"), image, images.Options{})
	for i := range bigImages {
		content := make([]byte, bigSize)
		_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(content)
		writeImage(t, filepath.Join(dir, fmt.Sprintf("big-%d.tar", i)), bigImage(i),
			images.Options{Files: map[string]images.File{"/big": {Mode: 0o644, Content: content}}})
	}
	for i := range pulledImages {
		content := make([]byte, pulledSize)
		_, _ = rand.NewChaCha8([32]byte{byte(i), 'p'}).Read(content)
		writeRegistry(t, filepath.Join(dir, "registry/v2/pulled"), fmt.Sprint(i), content)
	}
	return dir
}

// writeRegistry writes an image as an answer of a registry for a tag.
func writeRegistry(t *testing.T, dir, tag string, content []byte) {
	t.Helper()
	img, err := images.FromGo(t.Context(), images.WitnessPackage, images.Options{Files: map[string]images.File{"/big": {Mode: 0o644, Content: content}}})
	if err != nil {
		t.Fatal(err)
	}
	manifest, failed := img.RawManifest()
	digest, err := img.Digest()
	failed = errors.Join(failed, err, os.MkdirAll(filepath.Join(dir, "manifests"), 0o755), os.MkdirAll(filepath.Join(dir, "blobs"), 0o755))
	for _, name := range []string{tag, digest.String()} {
		failed = errors.Join(failed, os.WriteFile(filepath.Join(dir, "manifests", name), manifest, 0o644))
	}
	config, err := img.RawConfigFile()
	failed = errors.Join(failed, err)
	name, err := img.ConfigName()
	failed = errors.Join(failed, err, os.WriteFile(filepath.Join(dir, "blobs", name.String()), config, 0o644))
	layers, err := img.Layers()
	for _, l := range layers {
		digest, e1 := l.Digest()
		packed, e2 := l.Compressed()
		if err := errors.Join(failed, err, e1, e2); err != nil {
			t.Fatal(err)
		}
		blob, err := io.ReadAll(packed)
		failed = errors.Join(err, packed.Close(), os.WriteFile(filepath.Join(dir, "blobs", digest.String()), blob, 0o644))
	}
	if failed != nil {
		t.Fatal(failed)
	}
}

// newer packs the package again, as a later version with other programs: each
// has a byte more, which it does not notice.
func newer(t *testing.T, deb, to string) {
	t.Helper()
	dir := t.TempDir()
	command(t, "dpkg-deb", "--raw-extract", deb, dir)
	command(t, "sed", "-i", "s/^Version: .*/Version: 9999/", dir+"/DEBIAN/control")
	for _, name := range []string{"bin/podstead", "libexec/podstead/podstead-logger", "libexec/podstead/podstead-pause",
		"libexec/podstead/podstead-names", "libexec/podstead/containerd", "libexec/podstead/containerd-shim-runc-v2"} {
		f, err := os.OpenFile(filepath.Join(dir, "usr", name), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteString("\n")
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	command(t, "dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", dir, to)
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o644); err != nil {
		t.Fatal(err)
	}
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

// install installs the package, after which podstead runs, and puts it to use.
func (n *node) install() {
	n.t.Helper()
	n.apt("install", "/mnt/podstead.deb")
	n.Shell("systemctl is-active podstead podstead-containerd; systemctl is-enabled podstead; test -e /usr/share/doc/podstead/examples/web.yaml; test -d " + manifestsDir)
	n.Shell("install -d -m 1777 " + witnessDir + "; cp /mnt/witness.tar " + imagesDir)
	n.Put(configPath, config, 0o600)
	n.serveImages()
	n.Run("systemctl", "reload", "podstead")
}

// apt runs apt-get, for which there is no network.
func (n *node) apt(args ...string) string {
	n.t.Helper()
	return n.Run(append([]string{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-o", "Dpkg::Options::=--force-confold"}, args...)...)
}

// registryAddress is that of the guest's own registry.
const registryAddress = "127.0.0.1:5000"

// serveImages starts the registry, now and at each boot.
func (n *node) serveImages() {
	n.t.Helper()
	n.Shell("cp -r /mnt/registry /srv; sync")
	n.Put("/etc/containerd/certs.d/"+registryAddress+"/hosts.toml", "server = \"http://"+registryAddress+"\"\n", 0o644)
	n.Put("/etc/systemd/system/registry.service", fmt.Sprintf(`[Service]
ExecStart=/run/guest/agent registry %s /srv/registry %d
[Install]
WantedBy=multi-user.target
`, registryAddress, pulledRate), 0o644)
	n.Run("systemctl", "enable", "--now", "registry.service")
}
