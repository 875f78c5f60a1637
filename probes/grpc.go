package probes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

func grpcTrial(a *corev1.GRPCAction, t *pod.ProbeTarget) trial {
	address, service := net.JoinHostPort(t.Host, strconv.Itoa(int(a.Port))), ""
	what := "gRPC health check of " + address
	if a.Service != nil && *a.Service != "" {
		service = *a.Service
		what += " service " + strconv.Quote(service)
	}
	secure := a.Mode != nil && *a.Mode == corev1.GRPCProbeModeTLS
	return trial{what: what, try: func(ctx context.Context) (string, error) {
		return checkHealth(ctx, address, service, secure)
	}}
}

// checkHealth asks a server by the gRPC health protocol, over a connection of
// its own.
func checkHealth(ctx context.Context, address, service string, secure bool) (string, error) {
	var unconnected atomic.Pointer[error] // gRPC keeps only the text of it
	var raw atomic.Pointer[net.Conn]
	dialer := func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := dial(ctx, address)
		if err != nil {
			unconnected.Store(&err)
			return nil, err
		}
		raw.Store(&conn)
		return &boundedConn{Conn: conn, left: maxFraming}, nil
	}
	conn, err := grpc.NewClient("passthrough:///"+address, append(bounds(), grpc.WithContextDialer(dialer), transport(secure))...)
	if err != nil {
		return "", err
	}
	defer func() {
		// gRPC would wait for seconds until a server that reads nothing takes
		// its farewell.
		if c := raw.Load(); c != nil {
			_ = (*c).Close()
		}
		_ = conn.Close()
	}()
	answer, err := health.NewHealthClient(conn).Check(ctx, &health.HealthCheckRequest{Service: service})
	if dialError := unconnected.Load(); err != nil && dialError != nil {
		return "", *dialError
	}
	return healthInWords(answer.GetStatus(), err)
}

// boundedConn ends a connection that brings more than an answer can need.
type boundedConn struct {
	net.Conn
	left int
}

func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("the server sends more than an answer needs")
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

func healthInWords(found health.HealthCheckResponse_ServingStatus, err error) (string, error) {
	switch status.Code(err) {
	case codes.OK:
	case codes.Unimplemented:
		return "", fmt.Errorf("the server does not offer grpc.health.v1.Health")
	case codes.NotFound:
		return "", fmt.Errorf("the server knows no such service")
	default:
		return "", fmt.Errorf("%s: %s", status.Code(err), status.Convert(err).Message())
	}
	if found != health.HealthCheckResponse_SERVING {
		return "", fmt.Errorf("status %s, want SERVING", found)
	}
	return "status SERVING", nil
}

func transport(secure bool) grpc.DialOption {
	if !secure {
		return grpc.WithTransportCredentials(insecure.NewCredentials())
	}
	// Containers have certificates of their own making, for names that no
	// probe uses; Kubernetes does not verify them either.
	return grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})) //nolint:gosec // see above
}

// bounds keeps a hostile server from costing more than a connection.
func bounds() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithUserAgent(probeAgent),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithMaxHeaderListSize(maxHeader),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxBody)),
	}
}
