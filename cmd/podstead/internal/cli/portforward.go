package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/pod"
)

// maxConnections bounds the connections that one port-forward carries at a
// time; others wait in the backlog of their listener.
const maxConnections = 256

// forwardFlags are the flags of port-forward.
type forwardFlags struct {
	scope
	addresses []string
}

func (a *App) portForwardCommand() *cobra.Command {
	f := &forwardFlags{}
	c := &cobra.Command{
		Use:   "port-forward POD|TYPE/NAME [LOCAL:]REMOTE...",
		Short: "Forward local ports to a pod",
		Long: "Forward local ports to a pod, until it is interrupted. The connection is made inside the pod's network,\n" +
			"so that servers are reached that listen on the pod's loopback only.",
		Example: "  podstead port-forward web 9000:80\n  podstead port-forward pod/web :http 9090\n  podstead port-forward svc/web 8080:80",
		RunE: func(c *cobra.Command, args []string) error {
			ref, ports, err := podRefArg(args)
			switch {
			case err != nil && len(args) > 0:
				return err
			case len(ports) == 0:
				return errors.New("TYPE/NAME and list of ports are required for port-forward: podstead port-forward POD [LOCAL:]REMOTE...")
			}
			return a.portForward(c.Context(), f, ref, ports)
		},
		ValidArgsFunction: a.completePods(&f.scope),
	}
	f.name(c)
	c.Flags().StringSliceVar(&f.addresses, "address", []string{"localhost"}, "local addresses to listen on: IPs or localhost")
	a.completeFlags(c, "namespace", a.completeNamespaces)
	return c
}

func (a *App) portForward(ctx context.Context, f *forwardFlags, ref pod.ObjectKey, words []string) error {
	addresses, err := parseAddresses(f.addresses)
	if err != nil {
		return err
	}
	client := a.client()
	defer client.Close()
	p, _, err := a.podOf(ctx, client, &f.scope, ref)
	if err != nil {
		return err
	}
	if ref.Kind == pod.KindService {
		if words, err = serviceWords(ctx, client, f.key(ref.Name), words, p); err != nil {
			return err
		}
	}
	ports, err := forwardedPorts(words, p)
	if err != nil {
		return err
	}
	if err := api.Forwardable(p); err != nil {
		return err
	}
	pods, err := client.Pods(ctx, api.ListOptions{})
	if err != nil {
		return err
	}
	if err := refuseHostPorts(ports, pods.Items); err != nil {
		return err
	}
	fw := &forwarder{app: a, client: client, key: f.key(p.Name), places: make(chan struct{}, maxConnections)}
	if err := fw.listen(ctx, addresses, ports); err != nil {
		return err
	}
	return fw.run(ctx)
}

func forwardedPorts(words []string, p *corev1.Pod) ([]forwardedPort, error) {
	var ports []forwardedPort
	for _, word := range words {
		port, err := parsePort(word, p)
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

// refuseHostPorts refuses local ports that lead to a pod: nobody listens
// there, so they could be opened, but connections would go to that pod.
func refuseHostPorts(ports []forwardedPort, pods []corev1.Pod) error {
	for _, port := range ports {
		for i := range pods {
			if p := &pods[i]; port.local != 0 && hasHostPort(p, port.local) {
				return fmt.Errorf("port %d of this server leads to pod %s/%s (hostPort): choose another local port, or :%d for any",
					port.local, p.Namespace, p.Name, port.remote)
			}
		}
	}
	return nil
}

// hasHostPort tells whether a TCP port of the server is led to the pod, at any
// address. On the host's network nothing is led: whoever listens has the port.
func hasHostPort(p *corev1.Pod, number uint16) bool {
	if p.Spec.HostNetwork || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return false
	}
	for port := range containerPorts(p) {
		if port.HostPort == int32(number) && isTCP(port) {
			return true
		}
	}
	return false
}

// forwarder carries connections from local ports to those of a pod.
type forwarder struct {
	app       *App
	client    *api.Client
	key       pod.Key
	listeners []forwardListener
	// places are taken by open connections.
	places chan struct{}
	// writing is held for a line of output.
	writing sync.Mutex
}

type forwardListener struct {
	net.Listener
	forwardedPort
}

// listen opens what can be opened. That some ports are taken is told, that
// all are is an error.
func (f *forwarder) listen(ctx context.Context, addresses []netip.Addr, ports []forwardedPort) error {
	for _, port := range ports {
		var failed error
		before := len(f.listeners)
		for _, address := range addresses {
			var config net.ListenConfig
			l, err := config.Listen(ctx, "tcp", netip.AddrPortFrom(address, port.local).String())
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			// Further addresses get the port that was free here.
			port.local = l.Addr().(*net.TCPAddr).AddrPort().Port()
			f.listeners = append(f.listeners, forwardListener{l, port})
			f.say("Forwarding from %s -> %d", netip.AddrPortFrom(address, port.local), port.remote)
		}
		if len(f.listeners) == before {
			f.complain("Unable to listen on port %d: %v", port.local, failed)
		}
	}
	if len(f.listeners) == 0 {
		return fmt.Errorf("unable to listen on any of the requested ports: %v", ports)
	}
	return nil
}

// run serves until ctx ends and every connection with it.
func (f *forwarder) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, f.close)
	defer stop()
	var serving sync.WaitGroup
	ended := make(chan error, len(f.listeners))
	for _, l := range f.listeners {
		serving.Go(func() { ended <- f.serve(ctx, l) })
	}
	err := <-ended
	interrupted := ctx.Err() != nil
	cancel()
	serving.Wait()
	if interrupted {
		return nil
	}
	return err
}

func (f *forwarder) close() {
	for _, l := range f.listeners {
		_ = l.Close()
	}
}

// serve takes connections until ctx ends, and waits for them.
func (f *forwarder) serve(ctx context.Context, l forwardListener) error {
	var open sync.WaitGroup
	defer open.Wait()
	for {
		select {
		case f.places <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := l.Accept()
		if err != nil {
			<-f.places
			return fmt.Errorf("take connections on %s: %w", l.Addr(), err)
		}
		open.Go(func() {
			defer func() { <-f.places }()
			f.carry(ctx, l.forwardedPort, conn)
		})
	}
}

// carry forwards one connection; that it fails concerns no other.
func (f *forwarder) carry(ctx context.Context, port forwardedPort, conn net.Conn) {
	f.say("Handling connection for %d", port.local)
	if err := f.client.PortForward(ctx, f.key, port.remote, conn); err != nil && ctx.Err() == nil {
		f.complain("an error occurred forwarding %d -> %d: %v", port.local, port.remote, err)
	}
}

func (f *forwarder) say(format string, args ...any) {
	f.writing.Lock()
	defer f.writing.Unlock()
	fmt.Fprintf(f.app.Out, format+"\n", args...)
}

func (f *forwarder) complain(format string, args ...any) {
	f.writing.Lock()
	defer f.writing.Unlock()
	fmt.Fprintf(f.app.Err, format+"\n", args...)
}
