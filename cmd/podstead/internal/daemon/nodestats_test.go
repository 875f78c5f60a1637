package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNodeUsage(t *testing.T) {
	const stat = "cpu  100 20 30 4000 500 6 7 800 90 1\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
	const memory = "MemTotal:        8000 kB\nMemFree:         1000 kB\nMemAvailable: 6000 kB\nInactive:  3000 kB\nInactive(anon): 500 kB\nInactive(file):   2500 kB\n"
	for name, test := range map[string]struct {
		stat, memory string
		cpu, working uint64
		want         string
	}{
		"whole":           {stat, memory, 1_630_000_000, 4500 << 10, ""},
		"no inactive":     {stat, "MemTotal: 8 kB\nMemFree: 1 kB\n", 0, 0, "lacks MemTotal, MemFree or Inactive(file)"},
		"more than there": {stat, strings.Replace(memory, "2500", "9500", 1), 1_630_000_000, 0, ""},
		"no number":       {strings.Replace(stat, "30", "x", 1), memory, 0, 0, "read the use of this server"},
	} {
		t.Run(name, func(t *testing.T) {
			proc := t.TempDir()
			for file, text := range map[string]string{"stat": test.stat, "meminfo": test.memory} {
				if err := os.WriteFile(filepath.Join(proc, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cpu, working, err := nodeStats{proc}.NodeUsage()
			switch {
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %q", err, test.want)
			case test.want == "" && (err != nil || cpu != test.cpu || working != test.working):
				t.Errorf("got %d ns, %d bytes, %v, want %d, %d", cpu, working, err, test.cpu, test.working)
			}
		})
	}
	if cpu, working, err := (nodeStats{"/proc"}).NodeUsage(); err != nil || cpu == 0 || working == 0 {
		t.Errorf("this host: got %d, %d, %v", cpu, working, err)
	}
}

func TestOSImage(t *testing.T) {
	if got := osImage("NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"); got != "Debian GNU/Linux 12 (bookworm)" {
		t.Errorf("got %q", got)
	}
	if got := osImage("NAME=x\n"); got != "" {
		t.Errorf("got %q of a release without it", got)
	}
}
