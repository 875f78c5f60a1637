package workload_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain has the laws hold in ten thousand histories, half of them at a
// time, instead of rapid's hundred, unless -rapid.checks says otherwise.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "5000"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(m.Run())
}
