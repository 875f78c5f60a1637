// Package runtime runs containers and fetches images through containerd. What
// it must remember about a container is stored with the container's record in
// containerd, so any other process, and podstead after a crash, sees the same.
//
// Nothing is concluded from a containerd that can't be asked: such errors wrap
// pod.ErrUnavailable.
package runtime

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/defaults"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/spec"
)

// Defaults of Config.
const (
	DefaultNamespace    = "podstead"
	DefaultLogDir       = "/var/log/pods"
	DefaultLinksDir     = "/var/log/containers"
	DefaultSnapshotter  = "overlayfs"
	DefaultCgroupRoot   = "/sys/fs/cgroup"
	DefaultLogMaxSize   = 10 << 20
	DefaultLogMaxFiles  = 5
	DefaultStallTimeout = 60 * time.Second
)

// runtimeName selects containerd's shim for runc and its relatives.
const runtimeName = "io.containerd.runc.v2"

// Config says which containerd is used and where files go. Fields that have a
// default may be left zero; Address, RunDir, NodeID, BootID and Now may not.
type Config struct {
	// Address is the path of containerd's socket.
	Address string
	// Namespace of containerd that holds our objects; "podstead".
	Namespace string
	// NodeID tells our containers from those of another installation that
	// uses the same containerd.
	NodeID string
	// BootID is the kernel's random id of this boot. Moments that were
	// recorded in another boot are read as 0.
	BootID string
	// Now reads CLOCK_BOOTTIME and the wall clock.
	Now func() pod.Stamp

	// RunDir is a private folder below /run for pipes and temporary mounts.
	RunDir string
	// LogDir and LinksDir hold the log files and the links to them, in the
	// layout of Kubernetes; /var/log/pods and /var/log/containers.
	LogDir, LinksDir string
	// LoggerPath is the podstead-logger program. When it is empty, output
	// is dropped.
	LoggerPath string
	// LogMaxSize in bytes and LogMaxFiles bound the log of one run: 10 MiB, 5.
	LogMaxSize  int64
	LogMaxFiles int

	// RuncBinary is the OCI runtime; empty for the shim's default, runc.
	RuncBinary string
	// RuncRoot is a private folder for its state; empty for its default.
	RuncRoot string
	// PauseRootfs is the folder that pause containers see as their root.
	PauseRootfs string
	// Snapshotter of containerd; "overlayfs".
	Snapshotter string
	// CgroupRoot is where the cgroup hierarchies are mounted: /sys/fs/cgroup.
	CgroupRoot string

	// SeccompDir holds the profiles that pods name as localhostProfile.
	SeccompDir string

	// HostsDir is a folder of registry configuration in containerd's layout,
	// <host>/hosts.toml; empty for none.
	HostsDir string
	// StallTimeout ends a pull in which nothing moved for so long: 60 s.
	StallTimeout time.Duration

	// Host is what OCI specs depend on beside the pod.
	Host spec.Host

	// MakeRoom makes room on containerd's full disk for what ends containers,
	// and tells whether it could; nil where nobody can.
	MakeRoom func() bool
	// Available is how many bytes can be written where images are kept; nil
	// where nobody knows.
	Available func() (int64, error)
}

// Runtime is a client of one containerd. Its methods may be called
// concurrently, within what the agent's interfaces say; all but Run return an
// error that wraps pod.ErrUnavailable while containerd can't be reached.
type Runtime struct {
	cfg    Config
	conn   *grpc.ClientConn
	client *containerd.Client

	mu     sync.Mutex
	images map[string]*imageInfo // by digest, bounded by maxImageInfos
	sound  map[types.UID]bool    // pods whose shim has answered
	leases map[string]bool       // those in use
}

// New returns a Runtime. It dials only when something is asked or Run runs.
func New(cfg Config) (*Runtime, error) {
	cfg = cfg.withDefaults()
	conn, err := grpc.NewClient("passthrough:///"+cfg.Address, dialOptions(cfg.Address)...)
	if err != nil {
		return nil, fmt.Errorf("address of containerd %q: %w", cfg.Address, err)
	}
	client, err := containerd.NewWithConn(conn, containerd.WithDefaultRuntime(runtimeName))
	if err != nil {
		return nil, fmt.Errorf("client of containerd %q: %w", cfg.Address, err)
	}
	return &Runtime{cfg: cfg, conn: conn, client: client, images: map[string]*imageInfo{}, sound: map[types.UID]bool{}, leases: map[string]bool{}}, nil
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *string
		value string
	}{
		{&c.Namespace, DefaultNamespace},
		{&c.LogDir, DefaultLogDir},
		{&c.LinksDir, DefaultLinksDir},
		{&c.Snapshotter, DefaultSnapshotter},
		{&c.CgroupRoot, DefaultCgroupRoot},
	} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if c.LogMaxSize == 0 {
		c.LogMaxSize = DefaultLogMaxSize
	}
	if c.LogMaxFiles == 0 {
		c.LogMaxFiles = DefaultLogMaxFiles
	}
	if c.StallTimeout == 0 {
		c.StallTimeout = DefaultStallTimeout
	}
	return c
}

// dialOptions redials at most a second apart: a local socket costs nothing to
// try, and every pod waits for it.
func dialOptions(socket string) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(socket, "unix://"))
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second,
			},
			MinConnectTimeout: time.Second,
		}),
		// A closed client would otherwise be noticed at the next call only.
		grpc.WithIdleTimeout(0),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(defaults.DefaultMaxRecvMsgSize),
			grpc.MaxCallSendMsgSize(defaults.DefaultMaxSendMsgSize),
		),
	}
}

// Run keeps the connection to containerd, redialling for ever, until ctx
// ends, and closes it then. It first unmounts what an earlier process that was
// killed left mounted below RunDir, and with each new connection deletes the
// leases that nobody holds any more.
func (r *Runtime) Run(ctx context.Context) error {
	defer r.conn.Close()
	if err := r.removeOldMounts(); err != nil {
		return fmt.Errorf("clean %q: %w", r.cfg.RunDir, err)
	}
	for ctx.Err() == nil {
		state := r.conn.GetState()
		switch state {
		case connectivity.Idle:
			r.conn.Connect()
		case connectivity.Ready:
			// What can't be swept now is swept at the next connection, or
			// expires.
			_ = r.sweepLeases(ctx)
		}
		r.conn.WaitForStateChange(ctx, state)
	}
	return nil
}

// Version asks containerd for its version, such as 2.3.7.
func (r *Runtime) Version(ctx context.Context) (string, error) {
	v, err := r.client.Version(r.scope(ctx))
	if err != nil {
		return "", failed("ask the version of containerd", r.cfg.Address, err)
	}
	return strings.TrimPrefix(v.Version, "v"), nil
}

// Ping implements agent.Containers.
func (r *Runtime) Ping(ctx context.Context) error {
	_, err := r.Version(ctx)
	return err
}

// scope puts containerd's namespace into a context.
func (r *Runtime) scope(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, r.cfg.Namespace)
}

// now is a stamp that reads the same after it was stored.
func (r *Runtime) now() pod.Stamp {
	at := r.cfg.Now()
	at.Wall = at.Wall.Round(0).UTC()
	return at
}
