package host

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/test/checker"
	"github.com/podstead/podstead/test/record"
)

// diary is what the host writes down of a guest for the checker. A guest's
// clock begins anew at each boot, so all of its moments are put on one time
// line: each boot begins there where this machine's clock was.
type diary struct {
	dir string
	// begun is the moment at which each boot began, by its id.
	begun map[string]record.Moment
	boot  string
	// beats are the last that were seen, by the names of their files: a guest
	// forgets those that it had not written to its disk when power was cut.
	beats map[string]record.Moment
}

func newDiary(t *testing.T) *diary {
	return &diary{dir: t.TempDir(), begun: map[string]record.Moment{}, beats: map[string]record.Moment{}}
}

func (d *diary) manifests() string { return filepath.Join(d.dir, "manifests.log") }
func (d *diary) faults() string    { return filepath.Join(d.dir, "faults.log") }

// newBoot takes note of the boot that runs now.
func (n *node) newBoot() {
	n.t.Helper()
	f := n.Facts()
	if _, known := n.begun[f.BootID]; known {
		n.t.Fatalf("boot %s was there before", f.BootID)
	}
	n.boot, n.begun[f.BootID] = f.BootID, record.Now()-record.Moment(f.Boottime)
}

// Now is the guest's time on the time line of all boots.
func (n *node) Now() record.Moment {
	n.t.Helper()
	return n.begun[n.boot] + record.Moment(n.Facts().Boottime)
}

// Want writes down what a manifest wants from now on; call it right before the
// change that should be quick and right after one that stops something.
func (n *node) Want(m record.Manifest) {
	n.t.Helper()
	m.At = n.Now()
	if err := record.Append(n.manifests(), m); err != nil {
		n.t.Fatal(err)
	}
}

// Fault writes down that something was done on purpose from a moment until
// now.
func (n *node) Fault(kind, target string, from record.Moment) {
	n.t.Helper()
	if err := record.Append(n.faults(), record.Fault{From: from, To: n.Now(), Kind: kind, Target: target}); err != nil {
		n.t.Fatal(err)
	}
}

// Fetch takes over what witnesses have written. Call it right before power is
// cut.
func (n *node) Fetch() {
	n.t.Helper()
	files := n.Files(witnessDir)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		switch filepath.Ext(name) {
		case ".beat":
			if content := files[name]; len(content) == 8 {
				n.beats[name] = max(n.beats[name], record.Moment(binary.NativeEndian.Uint64(content)))
			}
		case ".jsonl":
			if err := os.WriteFile(filepath.Join(n.dir, name), files[name], 0o600); err != nil {
				n.t.Fatal(err)
			}
		}
	}
}

// translated writes what was fetched into a folder, on the time line of all
// boots.
func (d *diary) translated(dir string) error {
	paths, err := filepath.Glob(filepath.Join(d.dir, "*.jsonl"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		id := strings.TrimSuffix(filepath.Base(path), ".jsonl")
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		events, err := parse(content)
		if err != nil {
			return fmt.Errorf("witness %s: %w", id, err)
		}
		boots := map[record.Moment]string{} // of the runs that are spoken of
		for _, e := range events {
			if e.BootID != "" {
				boots[e.Run] = e.BootID
			}
			begun, ok := d.begun[boots[e.Run]]
			if !ok {
				return fmt.Errorf("witness %s has run %d, which belongs to no boot that is known", id, e.Run)
			}
			beat, beaten := d.beats[fmt.Sprintf("%s.%d.beat", id, e.Run)]
			e.At, e.Run = e.At+begun, e.Run+begun
			if err := record.Append(filepath.Join(dir, id+".jsonl"), e); err != nil {
				return err
			}
			if !beaten {
				continue
			}
			cell := binary.NativeEndian.AppendUint64(nil, uint64(beat+begun))
			if err := os.WriteFile(filepath.Join(dir, id+"."+strconv.FormatInt(int64(e.Run), 10)+".beat"), cell, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// parse reads events. Of a line that was being written when the power was cut
// there is a beginning, or room without content, and the next run's line
// follows on it.
func parse(content []byte) ([]record.Witness, error) {
	var events []record.Witness
	for line := range bytes.Lines(content) {
		begin := bytes.LastIndex(line, []byte(`{"event"`))
		if begin < 0 {
			continue
		}
		var e record.Witness
		if err := json.Unmarshal(line[begin:], &e); err != nil {
			if !bytes.HasSuffix(line, []byte("\n")) {
				continue
			}
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		events = append(events, e)
	}
	return events, nil
}

// bounds are those of a server, longer for emulation on a busy machine.
var bounds = checker.Bounds{Recovery: 5 * time.Minute, Beat: 20 * time.Second}

// Judge lets the checker look at everything that was written down and fails
// the test for each finding.
func (n *node) Judge() {
	n.t.Helper()
	n.Fetch()
	dir := n.t.(*testing.T).TempDir()
	if err := n.translated(dir); err != nil {
		n.t.Fatal(err)
	}
	history, err := checker.Load(dir, n.manifests(), n.faults(), n.Now())
	if err != nil {
		n.t.Fatal(err)
	}
	if len(history.Witnesses) == 0 {
		n.t.Fatal("no witness has written anything")
	}
	for _, f := range checker.Check(history, bounds) {
		n.t.Error(f)
	}
	runs := 0
	for _, events := range history.Witnesses {
		for _, e := range events {
			if e.Event == record.Start {
				runs++
			}
		}
	}
	n.t.Logf("judged %d witnesses with %d runs in %d boots, and %d faults", len(history.Witnesses), runs, len(n.begun), len(history.Faults))
	if n.t.Failed() {
		text, _ := json.Marshal(history)
		n.t.Logf("the history: %s", text)
	}
}
