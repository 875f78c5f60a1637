// Package api serves what podstead knows over a unix socket, in the shape of
// the Kubernetes REST API, and is the client of it. What is read comes from
// immutable snapshots, so that no client, however slow, holds anything up.
//
// Paths, beside those of Kubernetes (/api/v1/pods, nodes, events and services,
// /apis/apps/v1/deployments, replicasets and daemonsets,
// /apis/discovery.k8s.io/v1/endpointslices, /apis/metrics.k8s.io/v1beta1/pods
// and nodes, with their log, exec, portforward and watch), are
// /podstead/v1/pods, deployments, replicasets, daemonsets and services,
// .../restart of pods and .../rollout of workloads, /podstead/v1/diff, status,
// images and reload, /healthz, /readyz and /version. Every error is a
// metav1.Status.
package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// Snapshots gives the newest snapshot. It is safe for concurrent use.
type Snapshots interface {
	// Latest returns the newest snapshot, nil before the first one.
	Latest() *pod.Snapshot
	// Changed returns a channel that is closed when a snapshot newer than
	// the one present at the call is published.
	Changed() <-chan struct{}
}

// Control takes the orders that people may give beside manifests.
type Control interface {
	// Restart stops the named container, all of the pod's when container is
	// empty, so that its restart follows. It returns when the order is taken.
	Restart(ctx context.Context, key pod.Key, container string) error
	// StoredImages lists the images that are there, with why each is kept.
	StoredImages(ctx context.Context) ([]pod.StoredImage, error)
	// Rollout carries out a command on a workload and says in words what was
	// done. It returns when that is stored; an error says why it can't be
	// done, and nothing changed then.
	Rollout(ctx context.Context, workload pod.ObjectKey, c pod.RolloutCommand) (string, error)
	// Diff says what would change if the manifests in documents replaced those
	// that are wanted now, with the way that each rollout would take.
	Diff(ctx context.Context, objects []pod.Object) ([]pod.Change, error)
}

// Executor runs commands in containers.
type Executor interface {
	// Exec returns the exit code of the command. It leaves no process behind
	// when ctx ends.
	Exec(ctx context.Context, containerID string, r ExecRequest) (int, error)
}

// PortForwarder reaches the ports of pods.
type PortForwarder interface {
	// Dial connects to a TCP port on the loopback of the pod's own network,
	// which for a pod on the host's network is that of the host.
	Dial(ctx context.Context, v pod.View, port uint16) (net.Conn, error)
}

// Stats reads what a cgroup uses.
type Stats interface {
	// Usage returns the CPU time used since the cgroup was made, in
	// nanoseconds, and the memory that it can't give back, in bytes.
	Usage(ctx context.Context, cgroupPath string) (cpuNanos, workingSet uint64, err error)
}

// Logs reads the logs of containers.
type Logs interface {
	// Read writes the lines asked for to w. With Follow it goes on until ctx
	// or the container ends.
	Read(ctx context.Context, r LogRequest, w io.Writer) error
}

// Config says what a Server serves and where.
type Config struct {
	// Socket is the path of the unix socket. Its folder is made when it is
	// missing, for root only.
	Socket string
	// GroupID is a group whose members may use the API like root, which makes
	// them root's equals; 0 means root only.
	GroupID int
	// Version is what /version and /podstead/v1/status tell.
	Version Version
	// NodeInfo is what is told of the server's kernel and operating system;
	// the versions of podstead and containerd and the ids are filled in.
	NodeInfo corev1.NodeSystemInfo
	// Configuration tells how the configuration file is; nil when there is
	// none.
	Configuration func() Configuration
	// Reload reads the configuration file again and tells what came of it; nil
	// when there is none. It is safe for concurrent use.
	Reload func() Configuration
	// Metrics tells how the serving of metrics is; nil where there is none.
	Metrics func() *Metrics

	Snapshots     Snapshots
	Control       Control
	Executor      Executor
	PortForwarder PortForwarder
	Stats         Stats
	NodeStats     NodeStats
	Logs          Logs
	// Probes is nil where nothing is probed.
	Probes Probes
}

// shutdownTime is how long running requests may take after the end began.
const shutdownTime = 2 * time.Second

// Server is the API. Make it with New.
type Server struct {
	cfg       Config
	listed    listed
	usage     sampler
	nodeUsage sampler
	listening chan struct{}
	// streams are the running ones: http.Server does not wait for connections
	// that were taken over.
	streams  sync.WaitGroup
	forwards chan struct{}
}

// New returns a server that does nothing until Run.
func New(cfg Config) *Server {
	return &Server{
		cfg: cfg, usage: sampler{stats: cfg.Stats}, nodeUsage: sampler{stats: nodeStats{cfg.NodeStats}},
		listening: make(chan struct{}), forwards: make(chan struct{}, maxForwards),
	}
}

// Listening is closed once clients can connect.
func (s *Server) Listening() <-chan struct{} { return s.listening }

// Run serves until ctx ends, then ends watches and streams, waits a short
// time for other requests and removes the socket. It is called once.
func (s *Server) Run(ctx context.Context) error {
	l, err := listen(s.cfg.Socket, s.cfg.GroupID)
	if err != nil {
		return err
	}
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	srv := &http.Server{
		Handler:           s.authorize(s.routes()),
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ConnContext:       withPeer,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	close(s.listening)
	select {
	case err := <-served:
		return fmt.Errorf("serve the API on %s: %w", s.cfg.Socket, err)
	case <-ctx.Done():
	}
	endRequests()
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := srv.Shutdown(patience); err != nil {
		err = srv.Close()
		if err != nil && !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("close the API on %s: %w", s.cfg.Socket, err)
		}
	}
	<-served
	s.streams.Wait()
	return nil
}
