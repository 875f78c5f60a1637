package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/api/apitest"
	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/pod"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"podstead": func() {
		os.Exit(app(os.Stdin, os.Stdout, os.Stderr, os.Getenv).Main(context.Background(), os.Args[1:]))
	}})
}

func app(in io.Reader, out, errs io.Writer, env func(string) string) *App {
	return &App{
		Drain: ends("drained"), Purge: ends("purged"),
		In: in, Out: out, Err: errs, Getenv: env, Now: func() time.Time { return noon },
		Version: api.Version{Version: "v1.2.3", Commit: "abcdef0", Go: "go1", Platform: "linux/amd64"},
		Daemon: func(_ context.Context, r RunOptions) error {
			if _, err := config.Load(r.ConfigFile); err != nil {
				return err
			}
			return errors.New("the daemon of tests runs nothing")
		},
		Containerd: func(_ context.Context, file string, _ bool) error {
			cfg, err := config.Load(file)
			if err == nil && cfg.Runtime.Mode == config.ModeExternal {
				err = errors.New("runtime.mode is external")
			}
			return err
		},
	}
}

// TestScripts runs each story of testdata against a daemon that knows the
// pods of host.
func TestScripts(t *testing.T) { scripts(t, "testdata", daemon) }

// TestWorkloadScripts does so against one that knows the workloads and
// Services of shop.
func TestWorkloadScripts(t *testing.T) { scripts(t, "testdata/workloads", shopDaemon) }

func scripts(t *testing.T, dir string, daemon func() *apitest.Daemon) {
	testscript.Run(t, testscript.Params{
		Dir:           dir,
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exitcode": exitCode},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			socket := filepath.Join(env.WorkDir, "run", "podstead.sock")
			env.Setenv("PODSTEAD_SOCKET", socket)
			env.Setenv("TZ", "UTC")
			d := daemon()
			stop, err := serve(d, socket)
			env.Defer(stop)
			return err
		},
	})
}

// daemon knows the pods of host, and answers exec and logs like a small
// shell.
func daemon() *apitest.Daemon {
	d := &apitest.Daemon{OnExec: pretend, Probed: probed(), Images: images()}
	d.Publish(host())
	return d
}

func serve(d *apitest.Daemon, socket string) (stop func(), err error) {
	cfg := d.Config(socket)
	cfg.Configuration = func() api.Configuration {
		return api.Configuration{File: "/etc/podstead/config.yaml", NeedRestart: []string{"nodeName", "runtime.mode"}}
	}
	cfg.Reload = reloads()
	s := api.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = func() {
		cancel()
		<-done
	}
	select {
	case <-s.Listening():
		return stop, nil
	case err := <-done:
		done <- err
		return stop, err
	}
}

// reloads answers like a daemon whose file was changed, spoilt and mended.
func reloads() func() api.Configuration {
	answers := []api.Configuration{
		{NeedRestart: []string{"nodeName", "runtime.mode"}},
		{Problems: []pod.Problem{{
			Origin: pod.Origin{File: "/etc/podstead/config.yaml", Line: 3, Column: 9}, Severity: pod.Error,
			Reason: pod.ReasonInvalid, Field: "onExit", Got: `"stop"`, Want: "keep or drain",
		}}},
		{},
	}
	return func() api.Configuration {
		answer := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		answer.File = "/etc/podstead/config.yaml"
		return answer
	}
}

// pretend knows the commands exit CODE, cat and missing; others are printed.
func pretend(_ context.Context, id string, r api.ExecRequest) (int, error) {
	switch r.Command[0] {
	case "exit":
		var code int
		_, err := fmt.Sscan(r.Command[1], &code)
		return code, err
	case "cat":
		_, err := io.Copy(r.Stdout, r.Stdin)
		return 0, err
	case "missing":
		return 0, errors.New("no such file: missing")
	}
	fmt.Fprintf(r.Stderr, "stdin %t, tty %t\n", r.Stdin != nil, r.TTY)
	_, err := fmt.Fprintln(r.Stdout, id, strings.Join(r.Command, " "))
	return 0, err
}

// ends says what was done to which configuration.
func ends(what string) func(context.Context, string, func(string)) error {
	return func(_ context.Context, file string, tell func(string)) error {
		if _, err := config.Load(file); err != nil {
			return err
		}
		tell(what + " " + file)
		return nil
	}
}

// exitCode is the script command "exitcode CODE COMMAND...".
func exitCode(ts *testscript.TestScript, _ bool, args []string) {
	want := args[0]
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if exit := (interface{ ExitCode() int })(nil); errors.As(err, &exit) {
		got = fmt.Sprint(exit.ExitCode())
	}
	if got != want {
		ts.Fatalf("%v: exit code %s (%v), want %s", args[1:], got, err, want)
	}
}
