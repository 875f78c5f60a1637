package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sort"
	"strings"
	"syscall"
	"time"
)

// child is the argument by which a witness's children know what they are.
const child = "-exit-after"

// act begins everything that was asked for. Exit codes that end the witness
// come by the channel.
func (b behaviour) act(exits chan<- int) error {
	if b.say != "" {
		fmt.Println(b.say)
	}
	if b.complain != "" {
		fmt.Fprintln(os.Stderr, b.complain)
	}
	if b.dump {
		dump(os.Stdout)
	}
	if b.appendTo != "" {
		if err := appendLine(b.appendTo); err != nil {
			return err
		}
	}
	if b.mount != "" {
		if err := syscall.Mount("witness", b.mount, "tmpfs", 0, ""); err != nil {
			fmt.Fprintln(os.Stderr, "mount:", err)
			exits <- 77
		} else {
			exits <- 0
		}
	}
	if b.message != "" {
		if err := os.WriteFile(b.messagePath, []byte(b.message), 0o644); err != nil {
			return err
		}
	}
	for range b.children {
		if err := fork("1h"); err != nil {
			return err
		}
	}
	for range b.zombies {
		if err := fork("0s"); err != nil {
			return err
		}
	}
	if b.alloc > 0 {
		go hold(b.alloc)
	}
	if b.flood != 0 {
		go func() {
			flood(os.Stdout, b.flood, b.lineSize, b.floodPause)
			if b.floodExit {
				exits <- b.exitCode
			}
		}()
	}
	if b.echo {
		go func() {
			if _, err := io.Copy(os.Stdout, os.Stdin); err != nil {
				exits <- 74
				return
			}
			exits <- 0
		}()
	}
	if b.scribble != "" {
		go scribble(b.scribble, exits)
	}
	if b.listen != "" {
		return serve(b.listen, exits)
	}
	return nil
}

// scribble keeps a disk busy until it can't be written.
func scribble(path string, exits chan<- int) {
	for {
		f, err := os.Create(path)
		if err == nil {
			_, err = f.WriteString(time.Now().String())
			err = errors.Join(err, f.Sync(), f.Close())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "scribble:", err)
			exits <- 75
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func appendLine(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, os.Getenv("WITNESS_GENERATION"))
	return err
}

// fork starts a child that nobody waits for.
func fork(life string) error {
	cmd := exec.Command("/proc/self/exe", child, life, "-ignore-term")
	cmd.Env = []string{}
	return cmd.Start()
}

// hold uses memory for good.
func hold(size int64) {
	const step = 1 << 20
	var held [][]byte
	for size > 0 {
		block := make([]byte, min(size, step))
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		held = append(held, block)
		size -= int64(len(block))
	}
	fmt.Printf("holding %d blocks\n", len(held))
	time.Sleep(1 << 62)
	fmt.Println(len(held))
}

// flood prints numbered lines; what is missing can be told from them.
func flood(w io.Writer, lines, size int, pause time.Duration) {
	out := bufio.NewWriterSize(w, 64<<10)
	defer out.Flush()
	pad := strings.Repeat("x", max(0, size-20))
	for i := 0; i != lines; i++ {
		fmt.Fprintf(out, "line %d %s\n", i, pad)
		if pause > 0 {
			out.Flush()
			time.Sleep(pause)
		}
	}
}

// dump prints one fact per line, as name=value or a file's lines under its
// path.
func dump(w io.Writer) {
	env := os.Environ()
	sort.Strings(env)
	for _, e := range env {
		fmt.Fprintf(w, "env %s\n", e)
	}
	fmt.Fprintf(w, "args %q\n", os.Args)
	groups, _ := os.Getgroups()
	fmt.Fprintf(w, "uid=%d gid=%d groups=%v\n", os.Getuid(), os.Getgid(), groups)
	wd, _ := os.Getwd()
	host, _ := os.Hostname()
	fmt.Fprintf(w, "cwd=%s hostname=%s pid=%d ppid=%d\n", wd, host, os.Getpid(), os.Getppid())
	for _, path := range []string{"/proc/self/status", "/proc/self/mountinfo", "/proc/self/cgroup", "/proc/self/oom_score_adj", "/proc/self/attr/current"} {
		text, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintf(w, "%s: %v\n", path, err)
		}
		for line := range strings.Lines(string(text)) {
			fmt.Fprintf(w, "%s: %s\n", path, strings.TrimSuffix(line, "\n"))
		}
	}
}
