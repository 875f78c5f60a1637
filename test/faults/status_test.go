package faults

import (
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// settle waits until podstead shows every pod as its witnesses do.
func (c *campaign) settle(within time.Duration) {
	c.t.Helper()
	begun := time.Now()
	c.log("settle")
	for {
		err := c.check()
		if err == nil {
			c.log("settled")
			return
		}
		if limit := c.within(within); time.Since(begun) > limit {
			c.log("not settled: %v", err)
			c.t.Errorf("NOT_CONVERGED within %s: %v", limit.Round(time.Second), err)
			return
		}
		time.Sleep(100 * time.Millisecond)
		c.progress()
	}
}

// check compares what podstead shows with what the witnesses wrote.
func (c *campaign) check() error {
	shown := map[string]*corev1.Pod{}
	var failures []error
	pods := c.host.Pods()
	for i := range pods {
		key := pods[i].Namespace + "/" + pods[i].Name
		if shown[key] != nil {
			failures = append(failures, fmt.Errorf("pod %s is shown twice", key))
		}
		shown[key] = &pods[i]
	}
	for _, s := range c.subjects {
		p := shown[s.key()]
		switch {
		case s.mode == absent && p != nil:
			failures = append(failures, fmt.Errorf("pod %s is not wanted and still there: %s", s.pod, p.Status.Phase))
		case s.mode != absent && p == nil:
			failures = append(failures, fmt.Errorf("pod %s is wanted and not there", s.pod))
		case s.mode != absent:
			if err := s.serves(p); err != nil {
				failures = append(failures, fmt.Errorf("pod %s: %w", s.pod, err))
			}
			for _, part := range s.parts {
				if err := c.compare(s, part, p); err != nil {
					failures = append(failures, fmt.Errorf("pod %s, container %s: %w", s.pod, part.name, err))
				}
			}
		}
	}
	return errors.Join(failures...)
}

// compare holds the status of one container against its diary.
func (c *campaign) compare(s *subject, part part, p *corev1.Pod) error {
	st := statusOf(p, part.name)
	if st == nil {
		return errors.New("it has no status")
	}
	all := c.runs(s.id(part.name))
	var runs []life
	for _, r := range all {
		if r.PodUID == string(p.UID) {
			runs = append(runs, r)
		}
	}
	if len(runs) == 0 {
		return fmt.Errorf("no run of it was in pod %s", p.UID)
	}
	last := runs[len(runs)-1]
	if want := s.generation(s.gens[part.name]); last.Generation != want {
		return fmt.Errorf("its last run has generation %s, want %s", last.Generation, want)
	}
	if err := now(part, st, last); err != nil {
		return err
	}
	return past(st, runs)
}

// now judges the state of the newest run.
func now(part part, st *corev1.ContainerStatus, last life) error {
	switch {
	case part.final && st.State.Terminated == nil:
		return fmt.Errorf("its work is to be done, state %+v", st.State)
	case part.final:
		if got := st.State.Terminated; int(got.ExitCode) != part.code || last.code != part.code {
			return fmt.Errorf("exit code %d (%s), it ended with %d and %d is meant", got.ExitCode, got.Reason, last.code, part.code)
		}
	case !part.exits && st.State.Running == nil:
		return fmt.Errorf("it does not run: %+v", st.State)
	case !part.exits && last.ended:
		return errors.New("it is shown to run and has ended")
	}
	return nil
}

// deaf is the code of a witness that is told to stop before it listens for
// that: Go ends a program then, and PID 1 can't end by the signal itself.
const deaf = 2

// past judges the count of restarts and the exit code of the run before. A
// run that was stopped before it could write is not in the diary, and one
// that ends by itself may be a run ahead.
func past(st *corev1.ContainerStatus, runs []life) error {
	restarts, written := int(st.RestartCount), len(runs)-1
	ended := st.LastTerminationState.Terminated
	if restarts > written && ended != nil && ended.Reason == "ContainerStatusUnknown" {
		return nil // containerd lost one that was about to be started
	}
	if restarts > written && ended == nil && st.State.Terminated != nil {
		return nil // the same, of dead runs only the newest is kept
	}
	if restarts < written {
		return fmt.Errorf("restart count %d, it was restarted %d times", restarts, written)
	}
	if restarts > written && !stopped(runs) {
		return fmt.Errorf("restart count %d, it was restarted %d times and never told to stop", restarts, written)
	}
	if restarts != written || written == 0 {
		return nil
	}
	before := runs[len(runs)-2]
	codes := []int{137, deaf}
	if before.ended {
		codes = []int{before.code}
	}
	if ended == nil && st.State.Terminated != nil {
		return nil // of the dead runs only the newest is kept
	}
	if ended == nil {
		return fmt.Errorf("%d restarts and no last state", restarts)
	}
	if !slices.Contains(codes, int(ended.ExitCode)) {
		return fmt.Errorf("the run before is shown to have ended with %d (%s), it did with %v", ended.ExitCode, ended.Reason, codes)
	}
	return nil
}

// stopped tells whether any run but the last was ended from outside.
func stopped(runs []life) bool {
	for _, r := range runs {
		if r.signalled || r.Generation != runs[0].Generation {
			return true
		}
	}
	return false
}

func statusOf(p *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// codes looks for ends that no container was asked for, such as that of a
// witness whose port was taken.
func (c *campaign) codes() {
	for _, s := range c.subjects {
		for _, p := range s.parts {
			for _, r := range c.runs(s.id(p.name)) {
				if r.ended && !r.signalled && (!p.exits || r.code != p.code) {
					c.t.Errorf("WRONG_EXIT %s at %s: it ended by itself with code %d", s.id(p.name), r.At, r.code)
				}
			}
		}
	}
}

// begun tells why a pod has not begun to run.
func begun(p corev1.Pod) error {
	if p.Status.Phase == corev1.PodPending || p.Status.Phase == "" {
		return fmt.Errorf("phase %s", p.Status.Phase)
	}
	return nil
}
