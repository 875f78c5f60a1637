package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// scanners dial at a time, each at most this long.
const (
	scanners = 64
	patience = 300 * time.Millisecond
)

// scan prints each open TCP port of addresses as a line HOST:PORT, and then
// how many were tried.
func scan(hosts []string, last int, also string) error {
	var ports []int
	for port := 1; port <= last; port++ {
		ports = append(ports, port)
	}
	for word := range strings.SplitSeq(also, ",") {
		port, err := strconv.Atoi(word)
		if err != nil {
			return fmt.Errorf("port %q: %w", word, err)
		}
		ports = append(ports, port)
	}
	targets := make(chan string)
	var group sync.WaitGroup
	for range scanners {
		group.Go(func() {
			for target := range targets {
				if c, err := net.DialTimeout("tcp", target, patience); err == nil {
					fmt.Println(target)
					_ = c.Close()
				}
			}
		})
	}
	for _, host := range hosts {
		for _, port := range ports {
			targets <- net.JoinHostPort(host, strconv.Itoa(port))
		}
	}
	close(targets)
	group.Wait()
	fmt.Println("tried", len(hosts)*len(ports))
	return nil
}
