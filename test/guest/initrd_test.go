package guest

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestInitrdHoldsAgentDriversAndUnit(t *testing.T) {
	drivers := t.TempDir()
	if err := os.WriteFile(filepath.Join(drivers, "000-first.ko"), []byte("odd"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "initrd")
	if err := writeInitrd(t.Context(), path, drivers); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := unpack(t, content)
	if got := string(files["modules/000-first.ko"]); got != "odd" {
		t.Errorf("the driver is %q", got)
	}
	if !bytes.HasPrefix(files["init"], []byte("\x7fELF")) {
		t.Errorf("init is no program: %.20q", files["init"])
	}
	if got := string(files["overlay/systemd/system/sysinit.target.wants/guest-agent.service"]); got != "../guest-agent.service" {
		t.Errorf("the link to the unit leads to %q", got)
	}
}

// unpack reads an archive as the kernel does.
func unpack(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for at := 0; ; {
		field := func(i int) int {
			n, err := strconv.ParseInt(string(archive[at+6+8*i:at+14+8*i]), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		if magic := string(archive[at : at+6]); magic != "070701" {
			t.Fatalf("at %d there is %q, no header", at, magic)
		}
		size, named := field(6), field(11)
		name := string(archive[at+110 : at+110+named-1])
		begin := (at + 110 + named + 3) &^ 3
		if name == "TRAILER!!!" {
			return files
		}
		files[name] = archive[begin : begin+size]
		at = (begin + size + 3) &^ 3
	}
}

func TestCpioTellsOfErrors(t *testing.T) {
	w := &cpio{w: bufio.NewWriterSize(fullDisk{}, 16)}
	w.add("file", modeFile, make([]byte, 100))
	if err := w.close(); err == nil {
		t.Error("an archive was written to a full disk")
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, os.ErrInvalid }
