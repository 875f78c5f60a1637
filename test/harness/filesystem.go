package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// Filesystem is a small file system of its own on a host, which a test fills.
type Filesystem struct {
	h *Host
	// Dir is where it is mounted.
	Dir string
}

// Mount makes an ext4 file system of a size in MiB and mounts it at a folder of
// the host, given by its path from Dir, before podstead is started. inodes is
// how many files it can hold; 0 for as many as usual.
func (h *Host) Mount(folder string, mebibytes, inodes int) *Filesystem {
	h.t.Helper()
	dir := filepath.Join(h.Dir, folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		h.t.Fatal(err)
	}
	device, err := os.CreateTemp(h.Dir, "disk-")
	if err != nil {
		h.t.Fatal(err)
	}
	if err := errors.Join(device.Truncate(int64(mebibytes)<<20), device.Close()); err != nil {
		h.t.Fatal(err)
	}
	make := []string{"mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"}
	if inodes > 0 {
		make = append(make, "-N", strconv.Itoa(inodes))
	}
	for _, command := range [][]string{append(make, device.Name()), {"mount", "-o", "loop", device.Name(), dir}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			h.t.Fatalf("%v: %v: %s", command, err, out)
		}
	}
	return &Filesystem{h: h, Dir: dir}
}

func (f *Filesystem) filler() string { return filepath.Join(f.Dir, "filler") }

// Fill takes all the space that is left.
func (f *Filesystem) Fill() {
	f.h.t.Helper()
	file, err := os.OpenFile(f.filler(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		f.h.t.Fatal(err)
	}
	defer file.Close()
	for size := 1 << 20; size > 0; {
		n, err := file.Write(make([]byte, size))
		switch {
		case errors.Is(err, syscall.ENOSPC):
			if n == 0 {
				size /= 2
			}
		case err != nil:
			f.h.t.Fatal(err)
		}
	}
	if err := file.Sync(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		f.h.t.Fatal(err)
	}
}

// Empty gives back the space that Fill and FillInodes took.
func (f *Filesystem) Empty() {
	f.h.t.Helper()
	if err := errors.Join(os.RemoveAll(f.filler()), os.RemoveAll(f.filler()+"s")); err != nil {
		f.h.t.Fatal(err)
	}
}

// FillInodes makes files until no more can be made.
func (f *Filesystem) FillInodes() {
	f.h.t.Helper()
	if err := os.Mkdir(f.filler()+"s", 0o700); err != nil {
		f.h.t.Fatal(err)
	}
	for n := 0; ; n++ {
		file, err := os.Create(filepath.Join(f.filler()+"s", fmt.Sprint(n)))
		if errors.Is(err, syscall.ENOSPC) {
			return
		}
		if err != nil {
			f.h.t.Fatal(err)
		}
		file.Close()
	}
}

// Available is how many bytes can be written.
func (f *Filesystem) Available() int64 {
	f.h.t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(f.Dir, &st); err != nil {
		f.h.t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}
