package probes_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/pod"
)

func grpcTarget(port int, service string) pod.ProbeTarget {
	return target("a", func(t *pod.ProbeTarget) {
		t.Probe.ProbeHandler = corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: int32(port), Service: &service}}
	})
}

func grpcServer(t *testing.T, register func(*grpc.Server), options ...grpc.ServerOption) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(options...)
	register(s)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Stop()
		<-ended
	})
	return l.Addr().(*net.TCPAddr).Port
}

func withHealth(s *grpc.Server) {
	h := health.NewServer()
	h.SetServingStatus("ill", healthv1.HealthCheckResponse_NOT_SERVING)
	healthv1.RegisterHealthServer(s, h)
}

func TestGRPC(t *testing.T) {
	port, bare := grpcServer(t, withHealth), grpcServer(t, func(*grpc.Server) {})
	what := fmt.Sprintf("gRPC health check of 127.0.0.1:%d", port)
	check(t, once(t, grpcTarget(port, ""), nil), pod.ProbeSuccess, what+": status SERVING")
	check(t, once(t, grpcTarget(port, "ill"), nil), pod.ProbeFailure, what+` service "ill": status NOT_SERVING, want SERVING`)
	check(t, once(t, grpcTarget(port, "none"), nil), pod.ProbeFailure, what+` service "none": the server knows no such service`)
	checkContains(t, once(t, grpcTarget(bare, ""), nil), pod.ProbeFailure, "the server does not offer grpc.health.v1.Health")
}

func TestGRPCOverTLS(t *testing.T) {
	certificates := httptest.NewUnstartedServer(nil)
	certificates.StartTLS()
	defer certificates.Close()
	port := grpcServer(t, withHealth, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: certificates.TLS.Certificates})))
	c := grpcTarget(port, "")
	mode := corev1.GRPCProbeModeTLS
	c.Probe.GRPC.Mode = &mode
	if got := once(t, c, nil); got.Result != pod.ProbeSuccess {
		t.Error(got.Message)
	}
}

func TestGRPCWithoutServer(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	check(t, once(t, grpcTarget(port, ""), nil), pod.ProbeFailure,
		fmt.Sprintf("gRPC health check of 127.0.0.1:%d: connection refused", port))
}

func TestTCP(t *testing.T) {
	tcp := func(port int) pod.ProbeTarget {
		return target("a", func(t *pod.ProbeTarget) {
			t.Probe.ProbeHandler = corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt(port)}}
		})
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	check(t, once(t, tcp(port), nil), pod.ProbeSuccess, fmt.Sprintf("TCP connect to 127.0.0.1:%d: connected", port))
	_ = l.Close()
	check(t, once(t, tcp(port), nil), pod.ProbeFailure, fmt.Sprintf("TCP connect to 127.0.0.1:%d: connection refused", port))
}
