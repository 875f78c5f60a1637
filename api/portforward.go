package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/podstead/podstead/pod"
)

// maxForwards bounds the forwarded connections that are open at a time.
const maxForwards = 512

// dialTime is how long the connection to a pod may take to come about.
const dialTime = 10 * time.Second

// Forwardable tells why nothing can be forwarded to a pod, nil when it can.
func Forwardable(p *corev1.Pod) error {
	if p.Status.Phase != corev1.PodRunning {
		return fmt.Errorf("unable to forward port because pod is not running. Current status=%s", p.Status.Phase)
	}
	return nil
}

// portForward carries one connection to the port of a pod over a websocket:
// channelStdin to the pod, channelStdout from it.
func (s *Server) portForward(w http.ResponseWriter, r *http.Request) {
	view, port, err := s.forwardTarget(r)
	if err != nil {
		writeError(w, err)
		return
	}
	select {
	case s.forwards <- struct{}{}:
		defer func() { <-s.forwards }()
	default:
		writeError(w, apierrors.NewTooManyRequests(fmt.Sprintf("port-forward to pod %s: %d connections are forwarded already, "+
			"which is as many as podstead keeps open: this one is refused, those go on", view.Instance.Key, cap(s.forwards)), 1))
		return
	}
	s.streams.Add(1)
	defer s.streams.Done()
	dialing, cancel := context.WithTimeout(r.Context(), dialTime)
	defer cancel()
	conn, err := s.cfg.PortForwarder.Dial(dialing, view, port)
	if err != nil {
		writeError(w, apierrors.NewServiceUnavailable(fmt.Sprintf("error forwarding port %d to pod %s, uid %s: %v", port, view.Instance.Name, view.Pod.UID, err)))
		return
	}
	defer conn.Close()
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{streamProtocol}})
	if err != nil {
		return // Accept has answered.
	}
	defer ws.CloseNow()
	if ws.Subprotocol() != streamProtocol {
		_ = ws.Close(websocket.StatusPolicyViolation, "want the sub-protocol "+streamProtocol)
		return
	}
	// Who is told of an error is the client.
	_ = tunnel{ws: ws, conn: conn, send: channelStdout, receive: channelStdin, stallTime: stallTime}.run(r.Context())
}

func (s *Server) forwardTarget(r *http.Request) (pod.View, uint16, error) {
	view, err := s.find(r)
	if err != nil {
		return view, 0, err
	}
	if err := Forwardable(view.Pod); err != nil {
		return view, 0, apierrors.NewBadRequest(err.Error())
	}
	text := r.URL.Query().Get("port")
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return view, 0, apierrors.NewBadRequest("port: got " + strconv.Quote(text) + ", want a number from 1 to 65535")
	}
	return view, uint16(port), nil
}
