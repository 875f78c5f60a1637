package guest

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Suite is a release of Debian.
type Suite string

// The suites that are tested.
const (
	Debian12 Suite = "bookworm"
	Debian13 Suite = "trixie"
)

// mirror is where Debian is taken from.
const mirror = "http://deb.debian.org/debian"

// packages are what a server has on which podstead is installed, and what its
// tests look with. There is no SSH and no compiler.
var packages = []string{
	"apparmor", "ca-certificates", "containerd", "dbus", "dmsetup", "iproute2", "kmod", "linux-image-cloud-amd64",
	"nftables", "procps", "runc", "systemd-sysv", "udev", "xfsprogs",
}

// masked are units that cost time at boot or do things at random moments.
var masked = []string{
	"apt-daily-upgrade.timer", "apt-daily.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
	"fstrim.timer", "getty@tty1.service", "serial-getty@ttyS0.service", "systemd-networkd-wait-online.service",
}

// enabled and disabled are units other than Debian has them.
var (
	enabled  = []string{"systemd-networkd.service"}
	disabled = []string{"containerd.service"}
)

// files are put into the root. Its address is the one that QEMU's user network
// expects.
var files = map[string]string{
	"etc/fstab":    "/dev/vda / ext4 errors=remount-ro 0 1\n",
	"etc/hostname": "guest\n",
	"etc/hosts":    "127.0.0.1 localhost guest\n::1 localhost\n",
	// An empty one is for a first boot, on which every unit is enabled.
	"etc/machine-id": "5b1e7c0c8a3f4f0e9d2a6b7c8d9e0f10\n",
	"etc/systemd/network/10-link.network": "[Match]\nName=en* eth*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n" +
		"LinkLocalAddressing=ipv6\nLLMNR=no\n",
	"etc/systemd/journald.conf.d/persistent.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=64M\n",
}

// drivers are loaded by the initial RAM disk, with what they depend on.
var drivers = []string{"virtio_pci", "virtio_blk", "virtio_console", "crc32c-intel"}

// size is that of the root's file system, most of which takes no room.
const size = "6G"

// recipeVersion is increased when build.go builds something else by the same
// lists.
const recipeVersion = 1

// recipe tells everything that an image depends on but the state of Debian's
// archive.
func (s Suite) recipe() string {
	var b strings.Builder
	fmt.Fprintln(&b, recipeVersion, s, mirror, packages, masked, enabled, disabled, drivers, size)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "%s %q\n", name, files[name])
	}
	return b.String()
}

// key names the image of a recipe.
func (s Suite) key() string {
	return fmt.Sprintf("%s-%x", s, sha256.Sum256([]byte(s.recipe())))[:len(s)+1+12]
}
