package main

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// state is how the responder is, as it was told, and when it was asked.
type state struct {
	mu    sync.Mutex
	ill   bool
	asked []time.Time
	grpc  *health.Server
}

// serveHTTP serves:
//
//	/healthz      200 or 500, as /health?ok= has set it
//	/health?ok=0  sets what /healthz and gRPC answer
//	/asked        when /healthz was asked, as a line of Unix milliseconds each
func (s *state) serveHTTP(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", s.healthz)
	mux.HandleFunc("/health", s.set)
	mux.HandleFunc("/asked", s.list)
	go func() { _ = http.Serve(l, mux) }()
	return nil
}

func (s *state) healthz(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, time.Now())
	if s.ill {
		http.Error(w, "ill", http.StatusInternalServerError)
	}
}

func (s *state) set(_ http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ill = r.FormValue("ok") == "0"
	if s.grpc == nil {
		return
	}
	status := healthpb.HealthCheckResponse_SERVING
	if s.ill {
		status = healthpb.HealthCheckResponse_NOT_SERVING
	}
	s.grpc.SetServingStatus("", status)
}

func (s *state) list(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.asked {
		fmt.Fprintln(w, at.UnixMilli())
	}
}

func (s *state) serveGRPC(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	checks := health.NewServer()
	s.mu.Lock()
	s.grpc = checks
	s.mu.Unlock()
	healthpb.RegisterHealthServer(server, checks)
	go func() { _ = server.Serve(l) }()
	return nil
}
