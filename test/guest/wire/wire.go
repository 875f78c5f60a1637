// Package wire is what the harness and its agent in the guest say to each
// other: one stream, on which a greeting is followed by net/rpc.
package wire

import "time"

// Port is the name of the virtio-serial port.
const Port = "test.guest.agent"

// The greeting. After either side was started anew the stream holds the rest
// of an earlier talk, so the harness says Hello and a number that it has not
// used yet, in a line of its own, until the agent answers with Welcome, that
// number and the id of its boot. What comes before that line is thrown away.
const (
	Hello   = "podstead-hello"
	Welcome = "podstead-welcome"
)

// Service is the name that the agent's methods are registered by.
const Service = "Agent"

// Command is a program to be run to its end.
type Command struct {
	Args []string
	// Env is added to the agent's environment.
	Env   []string
	Stdin []byte
	// Timeout is after what time the program's process group is killed.
	Timeout time.Duration
}

// Result is how a command ended.
type Result struct {
	Stdout, Stderr []byte
	// Code is the exit code, or 128 and the number of the signal.
	Code int
	// TimedOut tells that it was killed at its Timeout.
	TimedOut bool
}

// File is a file with its content.
type File struct {
	Path    string
	Mode    uint32
	Content []byte
	// Missing tells, of a file that was asked for, that there is none.
	Missing bool
}

// Request is an HTTP GET.
type Request struct {
	// Socket is the path of a unix socket; empty for TCP.
	Socket string
	URL    string
	// Timeout is for all of it.
	Timeout time.Duration
}

// Response is what was answered.
type Response struct {
	Status int
	Body   []byte
}

// Facts tell boots apart and their clocks from the host's.
type Facts struct {
	BootID string
	// Boottime is CLOCK_BOOTTIME, Wall the time of day, in nanoseconds.
	Boottime, Wall int64
}
