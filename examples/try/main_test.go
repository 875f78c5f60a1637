package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// starterVariable makes this test program one that starts a program as the
// daemon is started.
const starterVariable = "PODSTEAD_TRY_STARTER"

func TestMain(m *testing.M) {
	if os.Getenv(starterVariable) != "" {
		startForever()
	}
	os.Exit(m.Run())
}

// startForever starts a program that never ends by itself and tells its pid.
func startForever() {
	cmd := exec.Command("sleep", "infinity")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	started := make(chan error)
	go func() {
		if err := <-started; err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(cmd.Process.Pid)
	}()
	_ = runBound(cmd, started)
	os.Exit(1)
}

// What a killed run started must not keep the next one out.
func TestProgramEndsWhenWeAreKilled(t *testing.T) {
	starter := exec.Command(os.Args[0])
	starter.Env = append(os.Environ(), starterVariable+"=yes")
	out, err := starter.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := starter.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the starter said %q, want a process id", line)
	}
	program, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(program)
	defer func() { _ = unix.PidfdSendSignal(program, unix.SIGKILL, nil, 0) }()

	if err := starter.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = starter.Wait()

	ended := []unix.PollFd{{Fd: int32(program), Events: unix.POLLIN}}
	n, err := unix.Poll(ended, 10_000)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Poll(ended, 10_000)
	}
	if err != nil || n != 1 {
		t.Errorf("the program lives on 10 s after its starter was killed (%d, %v)", n, err)
	}
}
