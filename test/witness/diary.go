package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/podstead/podstead/test/record"
)

// diary is what a witness writes down; without a folder it writes nothing.
type diary struct {
	dir, id string
	run     record.Moment
	heart   func(record.Moment)
}

func openDiary(b behaviour) (*diary, error) {
	d := &diary{dir: b.dir, id: b.id, run: record.Now()}
	if d.dir == "" {
		return d, nil
	}
	alone, err := record.Lock(d.dir, d.id)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	event := record.Witness{
		Event: record.Start, PodUID: os.Getenv("WITNESS_UID"), Generation: os.Getenv("WITNESS_GENERATION"),
		BootID: bootID(), PIDNS: pidNS(), Cgroup: cgroup(),
	}
	if !alone {
		event.Event = record.Duplicate
		if err := d.write(event); err != nil {
			return nil, err
		}
		fmt.Fprintln(os.Stderr, "witness: another one of my name lives")
		time.Sleep(time.Second)
		os.Exit(75)
	}
	if d.heart, err = record.Heart(d.dir, d.id, d.run); err != nil {
		return nil, fmt.Errorf("heart: %w", err)
	}
	d.beat()
	return d, d.write(event)
}

func (d *diary) write(e record.Witness) error {
	if d.dir == "" {
		return nil
	}
	e.ID, e.Run, e.At = d.id, d.run, record.Now()
	if err := record.Append(record.Path(d.dir, d.id), e); err != nil {
		return fmt.Errorf("write diary: %w", err)
	}
	return nil
}

func (d *diary) beat() {
	if d.heart != nil {
		d.heart(record.Now())
	}
}

// term and exit go on when the disk is full: what they ought to do matters
// more than that it is written.
func (d *diary) term(signal int) {
	d.complain(d.write(record.Witness{Event: record.Term, Signal: signal}))
}

func (d *diary) exit(code, signal int) {
	d.complain(d.write(record.Witness{Event: record.Exit, Code: code, Signal: signal}))
	d.beat()
	os.Exit(code)
}

func (d *diary) complain(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "witness:", err)
	}
}

func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(bytes.TrimSpace(b))
}

func cgroup() string {
	b, _ := os.ReadFile("/proc/self/cgroup")
	return strings.TrimSpace(string(b))
}

func pidNS() uint64 {
	var st syscall.Stat_t
	if syscall.Stat("/proc/self/ns/pid", &st) != nil {
		return 0
	}
	return st.Ino
}
