package faults

import (
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// part is a container of a pod.
type part struct {
	name string
	role role
	args []string
	// exits tells that it ends by itself, with code; final that this end is
	// its last.
	exits, final bool
	code         int
}

type role int

const (
	app role = iota
	initial
	sidecar
)

// kind is a shape of pods.
type kind struct {
	name    string
	count   int
	policy  corev1.RestartPolicy
	grace   time.Duration
	shared  bool // one process namespace
	data    bool // an emptyDir
	port    int  // the first one's port of the host; 0 for none
	network bool // has one of its own, and a readiness probe
	asked   bool // its manifest is left alone, and it has to answer all the time
	parts   []part
}

// exiting is a container that ends by itself.
func exiting(name string, after time.Duration, code int, final bool) part {
	return part{
		name: name, exits: true, final: final, code: code,
		args: []string{"-exit-after", after.String(), "-exit-code", strconv.Itoa(code)},
	}
}

// setup is an init container: its end is its last.
func setup(name string, after time.Duration) part {
	p := exiting(name, after, 0, true)
	p.role = initial
	return p
}

// kinds are the pods that live on the host under test.
func kinds() []kind {
	const always, failing, never = corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever
	a := part{name: "a"}
	b := part{name: "b"}
	return []kind{
		{name: "plain", count: 4, policy: always, grace: 3 * time.Second, parts: []part{a}},
		{name: "multi", count: 3, policy: always, grace: 3 * time.Second, parts: []part{a, b, {name: "c"}}},
		{name: "init", count: 3, policy: always, grace: 3 * time.Second,
			parts: []part{setup("i", 300*time.Millisecond), setup("j", 0), a}},
		{name: "side", count: 3, policy: always, grace: 3 * time.Second,
			parts: []part{setup("i", 200*time.Millisecond), {name: "s", role: sidecar}, a}},
		{name: "shared", count: 2, policy: always, grace: 3 * time.Second, shared: true, parts: []part{a, b}},
		{name: "data", count: 2, policy: always, grace: 3 * time.Second, data: true,
			parts: []part{{name: "a", args: []string{"-append", "/data/starts"}}}},
		{name: "port", count: 2, policy: always, grace: 3 * time.Second, port: 18080, parts: []part{a}},
		{name: "net", count: 2, policy: always, grace: 3 * time.Second, port: 18090, network: true, parts: []part{a}},
		{name: "asked", count: 1, policy: always, grace: 3 * time.Second, port: 18095, network: true, asked: true, parts: []part{a}},
		{name: "crash", count: 2, policy: always, grace: 3 * time.Second,
			parts: []part{exiting("a", 2500*time.Millisecond, 3, false), b}},
		{name: "fails", count: 1, policy: failing, grace: 3 * time.Second,
			parts: []part{exiting("a", 3*time.Second, 5, false)}},
		{name: "works", count: 1, policy: failing, grace: 3 * time.Second,
			parts: []part{exiting("a", 2*time.Second, 0, true)}},
		{name: "once", count: 2, policy: never, grace: 3 * time.Second,
			parts: []part{exiting("a", time.Second, 0, true), exiting("b", 3*time.Second, 7, true)}},
		{name: "deaf", count: 2, policy: always, grace: time.Second,
			parts: []part{{name: "a", args: []string{"-ignore-term"}}, b}},
		{name: "slow", count: 1, policy: always, grace: 4 * time.Second,
			parts: []part{{name: "a", args: []string{"-term-delay", "1500ms"}}}},
	}
}

// steady tells that no container of it ever ends by itself.
func (k *kind) steady() bool {
	for _, p := range k.parts {
		if p.exits && p.role == app {
			return false
		}
	}
	return true
}
