package logs_test

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// lines gathers output and lets a test wait for some of it.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func newLines() *lines { return new(lines) }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) waitFor(t *testing.T, line string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if strings.Contains(l.String(), line+"\n") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q did not come", line)
		}
	}
}
