package checker_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podstead/podstead/test/checker"
	"github.com/podstead/podstead/test/record"
)

const id = "default_web_app"

var bounds = checker.Bounds{Recovery: 5 * time.Second, Beat: time.Second}

func sec(s float64) record.Moment { return record.Moment(s * 1e9) }

// life is one run: from, last beat, generation, and how it ended.
type life struct {
	from, to   float64
	generation string
	// end is "", for a process that was killed, "exit" or "term".
	end string
}

// final makes the container's own exit its last.
func final(h checker.History) checker.History {
	for i := range h.Manifests {
		h.Manifests[i].Final = []string{"app"}
	}
	return h
}

// want is a change of the manifest: "" removes the pod.
type want struct {
	at         float64
	generation string
}

func history(end float64, wants []want, lives []life, faults ...record.Fault) checker.History {
	h := checker.History{
		Witnesses: map[string][]record.Witness{}, Beats: map[string]map[record.Moment]record.Moment{id: {}},
		Faults: faults, End: sec(end),
	}
	for _, w := range wants {
		m := record.Manifest{At: sec(w.at), Pod: "default/web", Grace: 2 * time.Second}
		if w.generation != "" {
			m.Containers = map[string]string{"app": w.generation}
		}
		h.Manifests = append(h.Manifests, m)
	}
	for _, l := range lives {
		run := sec(l.from)
		add := func(at float64, event string, signal int) {
			h.Witnesses[id] = append(h.Witnesses[id], record.Witness{
				Event: event, At: sec(at), ID: id, Run: run, BootID: "b", Generation: l.generation, Signal: signal})
		}
		add(l.from, record.Start, 0)
		if l.end == "term" {
			add(l.to, record.Term, 15)
			add(l.to, record.Exit, 15)
		}
		if l.end == "exit" {
			add(l.to, record.Exit, 0)
		}
		h.Beats[id][run] = sec(l.to)
	}
	return h
}

func fault(from, to float64, target string) record.Fault {
	return record.Fault{From: sec(from), To: sec(to), Kind: "kill", Target: target}
}

func TestVerdicts(t *testing.T) {
	one := []want{{0, "1"}}
	removed := []want{{0, "1"}, {50, ""}}
	edited := []want{{0, "1"}, {50, "2"}}
	reboot := history(100, one, []life{{1, 50, "1", ""}, {52, 100, "1", ""}})
	reboot.Witnesses[id][1].BootID = "c"
	locked := history(100, one, []life{{1, 100, "1", ""}})
	locked.Witnesses[id] = append(locked.Witnesses[id], record.Witness{Event: record.Duplicate, At: sec(30), ID: id})

	cases := []struct {
		name string
		h    checker.History
		want []checker.Verdict
	}{
		{"it lives all the time", history(100, one, []life{{1, 100, "1", ""}}), nil},
		{"it never lives", history(100, one, nil), []checker.Verdict{checker.Lost}},
		{"it begins late", history(100, one, []life{{20, 100, "1", ""}}), []checker.Verdict{checker.Lost}},
		{"late because podstead was dead", history(100, one, []life{{20, 100, "1", ""}}, fault(1, 18, "")), nil},
		{"it is gone at the end", history(100, one, []life{{1, 50, "1", "exit"}}), []checker.Verdict{checker.Lost}},
		{"it comes back after its exit", history(100, one, []life{{1, 50, "1", "exit"}, {52, 100, "1", ""}}), nil},
		{"its work is done", final(history(100, one, []life{{1, 50, "1", "exit"}})), nil},
		{"its work is never begun", final(history(100, one, nil)), []checker.Verdict{checker.Lost}},
		{"it is killed before its work is done", final(history(100, one, []life{{1, 50, "1", ""}})), []checker.Verdict{checker.Lost}},
		{"it works again", final(history(100, one, []life{{1, 50, "1", "exit"}, {52, 60, "1", "exit"}})), []checker.Verdict{checker.UnexplainedRestart}},
		{"it works again since that was wanted", final(history(100, edited, []life{{1, 40, "1", "exit"}, {52, 60, "2", "exit"}})), nil},
		{"another part of the manifest changed", final(history(100, []want{{0, "1"}, {60, "1"}}, []life{{1, 50, "1", "exit"}})), nil},
		{"it comes back without a cause", history(100, one, []life{{1, 50, "1", ""}, {52, 100, "1", ""}}), []checker.Verdict{checker.UnexplainedRestart}},
		{"it was told to stop without a cause", history(100, one, []life{{1, 50, "1", "term"}, {52, 100, "1", ""}}), []checker.Verdict{checker.UnexplainedRestart}},
		{"it was killed on purpose", history(100, one, []life{{1, 50, "1", ""}, {52, 100, "1", ""}}, fault(50, 50.1, id)), nil},
		{"another one was killed", history(100, one, []life{{1, 50, "1", ""}, {52, 100, "1", ""}}, fault(50, 50.1, "x")), []checker.Verdict{checker.UnexplainedRestart}},
		{"podstead was killed", history(100, one, []life{{1, 50, "1", ""}, {52, 100, "1", ""}}, fault(50, 51, "")), []checker.Verdict{checker.UnexplainedRestart}},
		{"podstead was killed while it was started", history(100, one, []life{{49.8, 50.5, "1", ""}, {52, 100, "1", ""}}, fault(1, 50, ""), fault(50, 51, "")), nil},
		{"it began while podstead was dead", history(100, one, []life{{48, 50, "1", ""}, {52, 100, "1", ""}}, fault(1, 50, "")), []checker.Verdict{checker.UnexplainedRestart}},
		{"the host was booted", reboot, nil},
		{"two lived at once", history(100, one, []life{{1, 60, "1", "exit"}, {52, 100, "1", ""}}), []checker.Verdict{checker.Duplicate}},
		{"the lock was held", locked, []checker.Verdict{checker.Duplicate}},
		{"it ends with its pod", history(100, removed, []life{{1, 51, "1", "term"}}), nil},
		{"it outlives its pod", history(100, removed, []life{{1, 70, "1", "term"}}), []checker.Verdict{checker.ZombiePod}},
		{"it outlives its pod while podstead is dead", history(100, removed, []life{{1, 70, "1", "term"}}, fault(49, 68, "")), nil},
		{"it begins after its pod was removed", history(100, removed, []life{{1, 51, "1", "term"}, {60, 61, "1", "term"}}),
			[]checker.Verdict{checker.WrongGeneration}},
		{"it is replaced", history(100, edited, []life{{1, 51, "1", "term"}, {52, 100, "2", ""}}), nil},
		{"it is not replaced", history(100, edited, []life{{1, 100, "1", ""}}), []checker.Verdict{checker.WrongGeneration}},
		{"it is replaced by what is not wanted yet", history(40, edited[:1], []life{{1, 30, "2", ""}}),
			[]checker.Verdict{checker.WrongGeneration, checker.Lost}},
		{"an old one comes back", history(100, edited, []life{{1, 51, "1", "term"}, {52, 60, "2", ""}, {61, 100, "1", ""}}),
			[]checker.Verdict{checker.UnexplainedRestart, checker.WrongGeneration}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []checker.Verdict
			findings := checker.Check(c.h, bounds)
			for _, f := range findings {
				got = append(got, f.Verdict)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s\n%v", diff, findings)
			}
		})
	}
}

func TestLoadReadsWhatWasWritten(t *testing.T) {
	dir := t.TempDir()
	wants, faults := filepath.Join(dir, "manifests"), filepath.Join(dir, "faults")
	now := record.Now()
	if ok, err := record.Lock(dir, id); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ok, err := record.Lock(dir, id); ok || err != nil {
		t.Fatalf("the lock was taken twice: %v, %v", ok, err)
	}
	beat, err := record.Heart(dir, id, now)
	if err != nil {
		t.Fatal(err)
	}
	beat(now.Add(time.Second))
	for path, line := range map[string]any{
		record.Path(dir, id): record.Witness{Event: record.Start, At: now, Run: now, ID: id, Generation: "1"},
		wants:                record.Manifest{At: now.Add(-time.Second), Pod: "default/web", Containers: map[string]string{"app": "1"}},
		faults:               record.Fault{From: now, To: now, Kind: "kill"},
	} {
		if err := record.Append(path, line); err != nil {
			t.Fatal(err)
		}
	}
	// A process was killed while it wrote.
	f, err := os.OpenFile(record.Path(dir, id), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"event":"ex`)
	f.Close()

	h, err := checker.Load(dir, wants, faults, now.Add(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if got := checker.Check(h, bounds); len(got) > 0 || len(h.Faults) != 1 || len(h.Witnesses[id]) != 1 {
		t.Errorf("findings %v in %+v", got, h)
	}
	if got := h.Beats[id][now]; got != now.Add(time.Second) {
		t.Errorf("last beat %v, want one second after the start", got)
	}
}
