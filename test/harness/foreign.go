package harness

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// foreignRules are those of another program, present during a whole test run
// and of no effect.
const foreignRules = `
table inet warehouse {
	set staff { type ipv4_addr; flags interval; elements = { 192.0.2.0/28, 198.51.100.7 } }
	chain passing { type filter hook forward priority 10; policy accept; ip saddr @staff accept comment "another program's"; }
	chain leaving { type filter hook output priority 10; policy accept; }
}
table ip warehouse { chain masked { type nat hook postrouting priority 90; policy accept; oifname "warehouse0" masquerade; }; }
`

// amongForeignRules runs the tests and then looks whether the rules of another
// program are, byte for byte and under the same handles, what they were.
func amongForeignRules(m *testing.M) int {
	load := exec.Command("nft", "-f", "-")
	load.Stdin = strings.NewReader(foreignRules)
	if out, err := load.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "load another program's rules: %v: %s\n", err, out)
		return 1
	}
	before := listForeignRules()
	code := m.Run()
	if after := listForeignRules(); after != before || before == "" {
		fmt.Fprintf(os.Stderr, "another program's rules were\n%s\nbefore the tests, and are\n%s\nafter them\n", before, after)
		return 1
	}
	return code
}

func listForeignRules() string {
	var text string
	for _, family := range []string{"inet", "ip"} {
		out, err := exec.Command("nft", "-a", "list", "table", family, "warehouse").CombinedOutput()
		if err != nil {
			return ""
		}
		text += string(out)
	}
	return text
}
