package workload_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain has the laws hold in six thousand histories, which takes 20 seconds
// of one CPU, instead of rapid's hundred. -rapid.checks asks for another
// number, for each of the two halves that are played at a time.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "3000"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(m.Run())
}
