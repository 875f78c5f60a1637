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
	name  string
	web   *http.Server
	mu    sync.Mutex
	ill   bool
	asked []time.Time
	grpc  *health.Server
	// lose is how many requests, and loseMessages how many messages, are ended
	// without a whole answer.
	lose, loseMessages int
	sockets            sockets
}

// serveHTTP serves:
//
//	/healthz      200 or 500, as /health?ok= has set it
//	/health?ok=0  sets what /healthz and gRPC answer
//	/asked        when /healthz was asked, as a line of Unix milliseconds each
//	/who          its name
//	/long?for=2s  a line every 100 ms for that time
//	/messages     a WebSocket that sends each message back
//	/lose?next=1  ends the next requests for /who in the middle of the answer;
//	              with messages=1 the next WebSockets, in place of an answer
func (s *state) serveHTTP(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", s.healthz)
	mux.HandleFunc("/health", s.set)
	mux.HandleFunc("/asked", s.list)
	mux.HandleFunc("/who", s.who)
	mux.HandleFunc("/long", long)
	mux.HandleFunc("/messages", s.messages)
	mux.HandleFunc("/lose", s.setLose)
	s.web = &http.Server{Handler: mux, Protocols: new(http.Protocols)}
	s.web.Protocols.SetHTTP1(true)
	s.web.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = s.web.Serve(l) }()
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
