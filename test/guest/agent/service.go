package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/test/guest/wire"
)

// service is what the harness can ask for. Calls run beside each other.
type service struct{}

// Run runs a command to its end.
func (*service) Run(c wire.Command, r *wire.Result) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdin = bytes.NewReader(c.Stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // for a child that keeps the output open
	err := cmd.Run()
	r.Stdout, r.Stderr, r.TimedOut = stdout.Bytes(), stderr.Bytes(), ctx.Err() != nil
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		status := exit.Sys().(syscall.WaitStatus)
		if r.Code = status.ExitStatus(); status.Signaled() {
			r.Code = 128 + int(status.Signal())
		}
		return nil
	case errors.Is(err, exec.ErrWaitDelay):
		return nil
	}
	return err
}

// Write puts a file into place by renaming, with the folders above it. When it
// returns the file survives a power cut.
func (*service) Write(f wire.File, _ *struct{}) error {
	dir := filepath.Dir(f.Path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	part, err := os.CreateTemp(dir, ".agent-*")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name())
	_, err = part.Write(f.Content)
	if err := errors.Join(err, part.Chmod(fs.FileMode(f.Mode)), part.Sync(), part.Close()); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), f.Path); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Read returns a file.
func (*service) Read(path string, f *wire.File) (err error) {
	f.Path = path
	f.Content, err = os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		f.Missing = true
		return nil
	}
	return err
}

// ReadDir returns the files in a folder, not those in folders below it. One
// that vanishes meanwhile is left out.
func (*service) ReadDir(dir string, files *[]wire.File) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		*files = append(*files, wire.File{Path: e.Name(), Content: content})
	}
	return nil
}

// Get asks by HTTP.
func (*service) Get(q wire.Request, r *wire.Response) error {
	client := &http.Client{Timeout: q.Timeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if q.Socket != "" {
				network, address = "unix", q.Socket
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
	resp, err := client.Get(q.URL)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	r.Status = resp.StatusCode
	r.Body, err = io.ReadAll(resp.Body)
	return err
}

// Facts tells which boot this is and what its clocks say.
func (*service) Facts(_ struct{}, f *wire.Facts) error {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return err
	}
	*f = wire.Facts{BootID: string(bytes.TrimSpace(boot)), Boottime: ts.Nano(), Wall: time.Now().UnixNano()}
	return nil
}
