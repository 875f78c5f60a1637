package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/podstead/podstead/test/guest/wire"
)

// serve answers the harness until the guest goes down.
func serve() error {
	path, err := findPort(time.Minute)
	if err != nil {
		return err
	}
	// Read and written by calls that block: polling it tells of a hang-up
	// while nobody is connected, over and over.
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	server := rpc.NewServer()
	if err := server.RegisterName(wire.Service, new(service)); err != nil {
		return err
	}
	port := &port{fd: fd}
	for {
		in := bufio.NewReaderSize(port, 64<<10)
		if err := greet(in, port); err != nil {
			return err
		}
		server.ServeConn(talk{in, port})
	}
}

// findPort waits for the port of our name and returns its device.
func findPort(within time.Duration) (string, error) {
	for deadline := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		names, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, name := range names {
			text, _ := os.ReadFile(name)
			if strings.TrimSpace(string(text)) == wire.Port {
				return filepath.Join("/dev", filepath.Base(filepath.Dir(name))), nil
			}
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("no port %s came within %s", wire.Port, within)
		}
	}
}

// greet waits for a hello and answers it.
func greet(in *bufio.Reader, out io.Writer) error {
	for {
		line, err := in.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return err
		}
		// The line may follow the rest of something else.
		_, number, ok := bytes.Cut(line, []byte(wire.Hello+" "))
		if !ok || in.Buffered() > 0 {
			continue // there is a newer one
		}
		boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "\n%s %s %s\n", wire.Welcome, bytes.TrimSpace(number), bytes.TrimSpace(boot))
		return err
	}
}

// port reads and writes the device. While nobody is connected a read returns
// nothing and a write fails.
type port struct{ fd int }

func (p *port) Read(b []byte) (int, error) {
	for {
		n, err := syscall.Read(p.fd, b)
		switch {
		case n > 0:
			return n, nil
		case err == nil || err == syscall.EAGAIN || err == syscall.EPIPE:
			time.Sleep(20 * time.Millisecond)
		case err != syscall.EINTR:
			return 0, err
		}
	}
}

func (p *port) Write(b []byte) (int, error) {
	for done := 0; done < len(b); {
		n, err := syscall.Write(p.fd, b[done:])
		switch {
		case n > 0:
			done += n
		case err == syscall.EAGAIN || err == nil:
			time.Sleep(time.Millisecond)
		case err == syscall.EPIPE:
			return done, err
		case err != syscall.EINTR:
			return done, err
		}
	}
	return len(b), nil
}

// talk is one talk on the port. It ends when something is read that is no
// part of it, such as another hello; the port stays open.
type talk struct {
	io.Reader
	io.Writer
}

func (talk) Close() error { return nil }
