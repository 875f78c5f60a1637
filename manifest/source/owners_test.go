package source

import (
	"io"
	"io/fs"
	"log"
	"os"
	"testing"
)

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// chown needs root, as podstead does.
func chown(t *testing.T, path string, uid int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	if err := os.Lchown(path, uid, -1); err != nil {
		t.Fatal(err)
	}
}
