package guest

import (
	"slices"
	"testing"
)

func TestDriversAreLoadedAfterWhatTheyNeed(t *testing.T) {
	const index = `kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/arch/x86/crypto/crc32c-intel.ko:
`
	got, err := loadOrder(index, []string{"virtio_blk", "built_in", "crc32c-intel"})
	want := []string{"kernel/drivers/virtio/virtio_ring.ko", "kernel/drivers/virtio/virtio.ko",
		"kernel/drivers/block/virtio_blk.ko.xz", "kernel/arch/x86/crypto/crc32c-intel.ko"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if _, err := loadOrder("no colon\n", nil); err == nil {
		t.Error("a broken modules.dep was read")
	}
}

func TestRecipesTellImagesApart(t *testing.T) {
	if a, b := Debian12.key(), Debian13.key(); a == b {
		t.Errorf("both suites have the image %s", a)
	}
	before := Debian12.key()
	files["etc/motd"] = "changed"
	t.Cleanup(func() { delete(files, "etc/motd") })
	if Debian12.key() == before {
		t.Error("another file in the root leads to the same image")
	}
}
