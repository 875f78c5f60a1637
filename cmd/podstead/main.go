// Podstead keeps the containers of a server as its Kubernetes manifests say.
package main

import (
	"context"
	"os"
	"os/signal"
	goruntime "runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/cli"
	"github.com/podstead/podstead/cmd/podstead/internal/daemon"
)

func main() {
	os.Exit(run())
}

// daemonGCPercent trades CPU, of which a daemon that mostly waits needs little,
// for memory, which it holds all the time. The environment's GOGC goes before.
const daemonGCPercent = 50

// daemonThreads is how many threads run the daemon's Go code at a time. It
// waits for others most of its life: a second one finds little to do, and
// waking it costs an eighth of what podstead uses when nothing happens. The
// environment's GOMAXPROCS goes before.
const daemonThreads = 1

// spare makes the daemon spare with what belongs to the containers.
func spare() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(daemonGCPercent)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		goruntime.GOMAXPROCS(daemonThreads)
	}
}

func run() int {
	ctx := context.Background()
	isDaemon := len(os.Args) > 1 && os.Args[1] == "run"
	if !isDaemon {
		// The daemon has an end of its own.
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
		defer stop()
	}
	version := buildVersion()
	app := &cli.App{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Now: time.Now, Version: version,
		Daemon: func(ctx context.Context, r cli.RunOptions) error {
			spare()
			return daemon.Run(ctx, daemon.Options{
				ConfigFile: r.ConfigFile, ContainerdUnit: r.ContainerdUnit, NamesUnit: r.NamesUnit, Version: version, Log: os.Stderr,
			})
		},
		Containerd: func(ctx context.Context, file string, check bool) error {
			return daemon.Containerd(ctx, file, check, os.Stderr)
		},
		Drain: func(ctx context.Context, file string, tell func(string)) error {
			return daemon.Drain(ctx, daemon.Options{ConfigFile: file, Version: version, Log: os.Stderr}, tell)
		},
		Purge: func(ctx context.Context, file string, tell func(string)) error {
			return daemon.Purge(ctx, daemon.Options{ConfigFile: file, Version: version, Log: os.Stderr}, tell)
		},
	}
	return app.Main(ctx, os.Args[1:])
}

// version is set by the linker where packages are built: they get the same
// bytes from every checkout, so the toolchain must not look at it.
var version string

// buildVersion is what the build said, else what the Go toolchain knows of this
// program.
func buildVersion() api.Version {
	v := api.Version{Version: "devel", Go: goruntime.Version(), Platform: goruntime.GOOS + "/" + goruntime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 7 {
			v.Commit = s.Value[:7]
		}
	}
	if version != "" {
		v.Version = version
	}
	return v
}
