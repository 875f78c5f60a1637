package guest

import (
	"encoding/json"
	"fmt"
	"net"
	"time"
)

// monitor is QEMU's control socket, which speaks QMP. It is used by one
// goroutine.
type monitor struct {
	conn net.Conn
	in   *json.Decoder
}

// openMonitor connects to the socket at a path.
func openMonitor(path string, within time.Duration) (*monitor, error) {
	conn, err := dial(path, within)
	if err != nil {
		return nil, err
	}
	m := &monitor{conn, json.NewDecoder(conn)}
	if _, err := m.do("qmp_capabilities", nil); err != nil {
		conn.Close()
		return nil, err
	}
	return m, nil
}

// do runs a command and returns its answer.
func (m *monitor) do(command string, arguments map[string]any) (json.RawMessage, error) {
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := m.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, err
	}
	if err := json.NewEncoder(m.conn).Encode(request); err != nil {
		return nil, fmt.Errorf("QMP %s: %w", command, err)
	}
	for {
		var answer struct {
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		if err := m.in.Decode(&answer); err != nil {
			return nil, fmt.Errorf("QMP %s: %w", command, err)
		}
		if answer.Error != nil {
			return nil, fmt.Errorf("QMP %s: %s", command, answer.Error.Desc)
		}
		if answer.Return != nil { // and no event or greeting
			return answer.Return, nil
		}
	}
}

// dial connects to a unix socket that is just being made.
func dial(path string, within time.Duration) (net.Conn, error) {
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("unix", path)
		if err == nil || time.Now().After(deadline) {
			return conn, err
		}
	}
}
