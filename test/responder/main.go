// Responder is the program of pods whose network is under test. What it
// answers tells who asked and how often.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	name := flag.String("name", "responder", "what -answer begins its lines with")
	answers := flag.String("answer", "", "answer lines by TCP and UDP at these addresses, as HOST:PORT,…")
	web := flag.String("http", "", "serve HTTP at HOST:PORT")
	health := flag.String("grpc", "", "serve grpc.health.v1.Health at HOST:PORT")
	scanned := flag.String("scan", "", "print which TCP ports of these addresses are open, and end")
	last := flag.Int("scan-to", 0, "scan all ports up to this one")
	also := flag.String("scan-also", "", "further ports to scan, as PORT,…")
	flag.Parse()
	if *scanned != "" {
		end(scan(strings.Split(*scanned, ","), *last, *also))
	}
	state := state{name: *name, sockets: newSockets()}
	end(state.serve(*answers, *web, *health))
}

func end(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "responder:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve serves until it is told to stop.
func (s *state) serve(answers, web, health string) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	var failed error
	if answers != "" {
		for address := range strings.SplitSeq(answers, ",") {
			failed = errors.Join(failed, answer(s.name, address))
		}
	}
	if web != "" {
		failed = errors.Join(failed, s.serveHTTP(web))
	}
	if health != "" {
		failed = errors.Join(failed, s.serveGRPC(health))
	}
	if failed != nil {
		return failed
	}
	<-stop
	return s.drain()
}
