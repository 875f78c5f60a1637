package systemd

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// TestStoppingWithoutABus: root can ask systemd itself, who then speaks without
// a bus between, and without the greeting of one.
func TestStoppingWithoutABus(t *testing.T) {
	path := filepath.Join(t.TempDir(), "private")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for state, want := range map[string]bool{"stopping": true, "degraded": false} {
		served := make(chan error, 1)
		go func() { served <- answerOnce(l, state) }()
		got, err := stoppingAt(t.Context(), "unix:path="+path)
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", state, got, err, want)
		}
		if err := <-served; err != nil {
			t.Errorf("%s: the manager was asked wrongly: %v", state, err)
		}
	}
}

// answerOnce is systemd's manager on its private socket, for one question.
func answerOnce(l net.Listener, state string) error {
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	if zero, err := in.ReadByte(); err != nil || zero != 0 {
		return fmt.Errorf("first byte %d, %w", zero, err)
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		answer := ""
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "AUTH" && rest == "":
			answer = "REJECTED EXTERNAL\r\n"
		case word == "AUTH":
			answer = "OK 0123456789abcdef0123456789abcdef\r\n"
		case word == "NEGOTIATE_UNIX_FD":
			answer = "AGREE_UNIX_FD\r\n"
		case word == "BEGIN":
			return answerProperty(in, conn, state)
		default:
			answer = "ERROR\r\n"
		}
		if _, err := conn.Write([]byte(answer)); err != nil {
			return err
		}
	}
}

func answerProperty(in *bufio.Reader, conn net.Conn, state string) error {
	call, err := dbus.DecodeMessage(in)
	if err != nil {
		return err
	}
	if member := call.Headers[dbus.FieldMember].Value(); member != "Get" {
		return fmt.Errorf("%v was called, want Get and no greeting", member)
	}
	if len(call.Body) != 2 || call.Body[0] != "org.freedesktop.systemd1.Manager" || call.Body[1] != "SystemState" {
		return errors.New("another property was asked for: " + fmt.Sprint(call.Body))
	}
	reply := &dbus.Message{Type: dbus.TypeMethodReply, Body: []any{dbus.MakeVariant(state)}, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldReplySerial: dbus.MakeVariant(call.Serial()), dbus.FieldSignature: dbus.MakeVariant(dbus.ParseSignatureMust("v")),
	}}
	return encode(reply, conn)
}

func encode(m *dbus.Message, conn net.Conn) error {
	// Messages of number 0 are not valid, and only a connection gives numbers:
	// the number is the third word of the head.
	var head strings.Builder
	if err := m.EncodeTo(&head, binary.LittleEndian); err != nil {
		return err
	}
	raw := []byte(head.String())
	binary.LittleEndian.PutUint32(raw[8:], 1)
	_, err := conn.Write(raw)
	return err
}
