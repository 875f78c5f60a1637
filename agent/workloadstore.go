package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// Records keeps what is stored of workloads. A record may be lost: then its
// revisions are read from the pods, and what failed is forgotten.
type Records interface {
	// Load returns all that were saved. Damaged ones are put aside, the others
	// are returned with an error that names them.
	Load() ([]*workload.Record, error)
	// Save replaces the record of a workload durably, or deletes it if r is
	// nil. It is called by one goroutine at a time for each workload.
	Save(key pod.ObjectKey, r *workload.Record) error
}

// The back-off of storing a record that could not be stored.
const (
	storeRetry    = time.Second
	storeRetryMax = 30 * time.Second
)

// storing is how the record of a workload is being stored.
type storing struct {
	busy bool
	// again is when it is tried again after failures, 0 when the last one
	// succeeded; problem is what the last one failed with.
	again    pod.Moment
	failures int
	problem  string
	// commands wait for what is being stored.
	commands []func(*loop)
}

// loadRecords brings back what was stored of workloads.
func (l *loop) loadRecords() {
	records, err := l.cfg.Records.Load()
	if err != nil {
		l.counts.change().Recoveries++
		l.event(pod.Key{}, warning, "StateRecovered",
			fmt.Sprintf("the record of a workload could not be read: its revisions are read from its pods, which of them failed is forgotten, nothing is restarted: %v", err))
	}
	for _, r := range records {
		l.workload(r.Manifest.ObjectKey).record = r
	}
}

// storeRecord makes a record of a workload durable beside the loop, and goes
// on with then. If it can't be stored, nothing is done: what runs stays, and
// the decision is made again later.
func (l *loop) storeRecord(ws *workloadState, r *workload.Record, then func(*loop)) {
	ws.storing.busy = true
	l.saveRecord(ws, r, func(l *loop, err error) {
		if err != nil {
			l.storeFailed(ws, err)
			return
		}
		then(l)
	})
}

func (l *loop) saveRecord(ws *workloadState, r *workload.Record, done func(*loop, error)) {
	cfg, key := l.cfg, ws.key
	l.spawn(func(context.Context) {
		err := cfg.Records.Save(key, r)
		l.send(func(l *loop) {
			s := &ws.storing
			s.busy = false
			l.restless[key] = true
			if err == nil {
				l.gather(key, ws.record, r)
				ws.record = r
				s.again, s.failures, s.problem = 0, 0, ""
			}
			done(l, err)
			if commands := s.commands; !s.busy {
				s.commands = nil
				for _, c := range commands {
					c(l)
				}
			}
		})
	})
}

func (l *loop) storeFailed(ws *workloadState, err error) {
	s, now := &ws.storing, l.cfg.Now().Moment
	s.again = now.Add(min(storeRetry<<min(s.failures, 10), storeRetryMax))
	s.failures++
	if s.problem != err.Error() {
		s.problem = err.Error()
		l.eventOf(ws.key, warning, "RecordUnsaved", fmt.Sprintf("its record can't be stored, so what was decided waits and what runs stays: %v", err))
	}
	l.viewWorkload(ws)
}

// Rollout carries out a command on a workload, and says in words what was
// done. It returns when that is stored, so that it has its effect also after a
// crash, and the newest snapshot shows it. It returns a *NotFound if there is
// no such workload; any other error says why it can't be done, and nothing
// changed.
func (a *Agent) Rollout(ctx context.Context, key pod.ObjectKey, c pod.RolloutCommand) (string, error) {
	type answer struct {
		text string
		err  error
	}
	done := make(chan answer, 1)
	a.send(func(l *loop) {
		l.command(key, c, func(text string, err error) { done <- answer{text, err} })
	})
	select {
	case got := <-done:
		return got.text, got.err
	case <-a.ended:
		return "", context.Canceled
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (l *loop) command(key pod.ObjectKey, c pod.RolloutCommand, answer func(string, error)) {
	ws := l.workloads[key]
	switch {
	case ws == nil:
		answer("", &NotFound{What: fmt.Sprintf("%s %q", key.Kind, key.Name)})
		return
	case ws.storing.busy:
		ws.storing.commands = append(ws.storing.commands, func(l *loop) { l.command(key, c, answer) })
		return
	case ws.status != nil && ws.status.Elsewhere != "":
		answer("", fmt.Errorf("%s: this server does not run %s: %s", c.Verb, key, ws.status.Elsewhere))
		return
	case l.objects[key].Object == nil:
		answer("", fmt.Errorf("%s: %s is being removed", c.Verb, key))
		return
	case ws.record == nil:
		answer("", errors.New(string(c.Verb)+": nothing was decided about "+key.String()+" yet: containerd did not answer so far, try again later"))
		return
	}
	rec, text, err := workload.Apply(c, ws.record, l.cfg.Now())
	if err != nil {
		answer("", err)
		return
	}
	ws.storing.busy = true
	l.saveRecord(ws, rec, func(l *loop, err error) {
		if err != nil {
			answer("", fmt.Errorf("%s: %s stays as it was: %w", c.Verb, key, err))
			return
		}
		l.eventOf(key, normal, "Commanded", fmt.Sprintf("by the command line: %s", text))
		l.answers = append(l.answers, commandAnswer{key, func() { answer(text, nil) }})
	})
}

// commandAnswer is the answer to a command that was carried out.
type commandAnswer struct {
	workload pod.ObjectKey
	give     func()
}

// giveAnswers answers commands of which everything that follows at once was
// decided, stored and published: whoever asks next sees it.
func (l *loop) giveAnswers() {
	l.answers = slices.DeleteFunc(l.answers, func(a commandAnswer) bool {
		ws := l.workloads[a.workload]
		if ws != nil && (ws.storing.busy || l.restless[a.workload] && l.drain == nil) {
			return false
		}
		a.give()
		return true
	})
}
