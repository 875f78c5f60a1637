package harness

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Filesystem is a small file system of its own on a host, which a test fills.
type Filesystem struct {
	h *Host
	// Dir is where it is mounted.
	Dir  string
	stop func()
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

// Fill takes all the space that is left, and what is given back until Empty, as
// a program does that writes all the time.
func (f *Filesystem) Fill() {
	f.h.t.Helper()
	file, err := os.Create(filepath.Join(f.Dir, "filler"))
	if err != nil {
		f.h.t.Fatal(err)
	}
	size := 1 << 20
	f.flood(func() error {
		n, err := file.Write(make([]byte, size))
		if size = min(2*size, 1<<20); n == 0 {
			size = max(1, size/4)
		}
		return err
	}, file.Close)
}

// FillInodes makes files until no more can be made, and goes on like Fill.
func (f *Filesystem) FillInodes() {
	f.h.t.Helper()
	dir := filepath.Join(f.Dir, "filler")
	if err := os.Mkdir(dir, 0o700); err != nil {
		f.h.t.Fatal(err)
	}
	made := 0
	f.flood(func() error {
		file, err := os.Create(filepath.Join(dir, strconv.Itoa(made)))
		if err != nil {
			return err
		}
		made++
		return file.Close()
	}, func() error { return nil })
}

// flood takes room until there is none, goes on beside the test, and returns
// when there was none for the first time.
func (f *Filesystem) flood(take, end func() error) {
	f.h.t.Helper()
	full, stopped, stop := make(chan error, 1), make(chan struct{}), make(chan struct{})
	f.stop = func() {
		close(stop)
		<-stopped
	}
	go func() {
		defer close(stopped)
		defer end()
		for inARow, told := 0, false; ; {
			select {
			case <-stop:
				return
			default:
			}
			err := take()
			if inARow++; err == nil {
				inARow = 0
			}
			if inARow < 20 {
				continue // its pieces are not the smallest yet
			}
			if !told {
				full <- err
				told = true
			}
			time.Sleep(100 * time.Microsecond)
		}
	}()
	if err := <-full; !errors.Is(err, syscall.ENOSPC) {
		f.h.t.Fatalf("fill %s: %v", f.Dir, err)
	}
}

// Empty gives back what was filled.
func (f *Filesystem) Empty() {
	f.h.t.Helper()
	f.stop()
	if err := os.RemoveAll(filepath.Join(f.Dir, "filler")); err != nil {
		f.h.t.Fatal(err)
	}
}

// Leave takes so much space that a number of bytes is left.
func (f *Filesystem) Leave(bytes int64) {
	f.h.t.Helper()
	take := f.Available() - bytes
	file, err := os.OpenFile(filepath.Join(f.Dir, "filler"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		f.h.t.Fatal(err)
	}
	f.stop = func() {}
	info, err := file.Stat()
	if err != nil {
		f.h.t.Fatal(err)
	}
	if err := errors.Join(syscall.Fallocate(int(file.Fd()), 0, 0, info.Size()+take), file.Close()); err != nil {
		f.h.t.Fatalf("leave %d bytes of %s: %v", bytes, f.Dir, err)
	}
}

// Available is how many bytes can be written, Size how many there are.
func (f *Filesystem) Available() int64 { st := f.stat(); return int64(st.Bavail) * st.Bsize }
func (f *Filesystem) Size() int64      { st := f.stat(); return int64(st.Blocks) * st.Bsize }

func (f *Filesystem) stat() syscall.Statfs_t {
	f.h.t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(f.Dir, &st); err != nil {
		f.h.t.Fatal(err)
	}
	return st
}
