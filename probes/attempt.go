package probes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/podstead/podstead/pod"
)

type execFunc = func(ctx context.Context, containerID string, argv []string, output io.Writer) (int, error)

// attempt is one try of a probe that is under way.
type attempt struct {
	cancel   context.CancelCauseFunc
	probe    *probe
	trial    trial
	instance pod.Instance
}

// trial is a probe made ready: what is done, in words, and how.
type trial struct {
	what    string
	timeout time.Duration
	// inside: a command runs in the container.
	inside bool
	// try says what was found, or why that is a failure.
	try func(ctx context.Context) (found string, err error)
}

// errUnready is wrapped by errors of what can't be tried yet.
var errUnready = errors.New("not to be tried yet")

// prepare makes a probe ready, so that nothing is worked out twice. What
// can't be made ready fails when it is tried.
func prepare(t *pod.ProbeTarget, exec execFunc) trial {
	var ready trial
	h := &t.Probe.ProbeHandler
	switch {
	case h.Exec != nil:
		ready = execTrial(t, exec)
	case t.Host == "" && (h.HTTPGet == nil || h.HTTPGet.Host == "") && (h.TCPSocket == nil || h.TCPSocket.Host == ""):
		ready = failing("probe over the network", fmt.Errorf("the pod has no address: %w", errUnready))
	case h.HTTPGet != nil:
		ready = httpTrial(h.HTTPGet, t)
	case h.TCPSocket != nil:
		ready = tcpTrial(h.TCPSocket, t)
	case h.GRPC != nil:
		ready = grpcTrial(h.GRPC, t)
	default:
		ready = failing("probe", errors.New("it names no handler, want one of exec, httpGet, tcpSocket and grpc"))
	}
	ready.timeout = time.Duration(max(1, t.Probe.TimeoutSeconds)) * time.Second
	return ready
}

func failing(what string, err error) trial {
	return trial{what: what, try: func(context.Context) (string, error) { return "", err }}
}

// result is what came of an attempt.
type result struct {
	attempt pod.ProbeAttempt
	// starved: it has to be made again at once.
	starved bool
}

// make carries an attempt through.
func (r *Runner) make(ctx context.Context, a attempt) result {
	began := r.config.Now()
	timer := r.deadline(a, began.Moment)
	found, err := a.trial.try(ctx)
	timer.Stop()
	cause := context.Cause(ctx)
	a.cancel(nil)

	took := r.config.Now().Moment.Sub(began.Moment)
	outcome, words := a.trial.judge(found, err, cause)
	return result{
		attempt: pod.ProbeAttempt{At: began, Took: took, Result: outcome, Message: clean(a.trial.what + ": " + words)},
		starved: outcome == pod.ProbeUnknown && errors.Is(cause, errStarved),
	}
}

// deadline ends an attempt when its time is up. A timer that rings late shows
// that podstead did not run, because the server is overloaded or slept: then
// nobody can tell whether the answer would have been in time. A quarter
// of the timeout counts as late.
func (r *Runner) deadline(a attempt, began pod.Moment) *time.Timer {
	return time.AfterFunc(a.trial.timeout, func() {
		if late := r.config.Now().Moment.Sub(began) - a.trial.timeout; late > a.trial.timeout/4 {
			a.cancel(errStarved)
			return
		}
		a.cancel(errTimeout)
	})
}

// judge says what an attempt counts as, and why in words. An answer counts
// even if podstead was late to read it.
func (t *trial) judge(found string, err, cause error) (pod.ProbeOutcome, string) {
	const uncounted = "; the attempt does not count"
	late := errors.Is(cause, errTimeout)
	switch {
	case err == nil:
		return pod.ProbeSuccess, found
	case errors.Is(err, errUnready), errors.Is(err, pod.ErrUnavailable), exhausted(err):
		return pod.ProbeUnknown, inWords(err) + uncounted
	case cause != nil && !late:
		return pod.ProbeUnknown, cause.Error() + uncounted
	case late && t.inside:
		return pod.ProbeFailure, fmt.Sprintf("it did not end within %s and was ended", t.timeout)
	case late:
		return pod.ProbeFailure, fmt.Sprintf("no answer within %s", t.timeout)
	default:
		return pod.ProbeFailure, inWords(err)
	}
}

// exhausted tells an attempt that failed for want of something that this
// server ran out of: descriptors, memory, local ports.
func exhausted(err error) bool {
	for _, e := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EAGAIN, syscall.EADDRNOTAVAIL,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// finish takes the result of an attempt, tells whom it concerns, and puts the
// probe back into the schedule.
func (r *Runner) finish(a attempt, res result) {
	if verdict, judged := r.record(a.probe, res.attempt); judged {
		r.config.Judge(verdict)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p, now := a.probe, r.config.Now().Moment
	p.cancel = nil
	if r.lanes[a.trial.inside].leave(a.instance) {
		r.wake()
	}
	switch every := period(&p.target); {
	case p.gone:
	case res.starved:
		r.wait(p, now)
	case res.attempt.Result == pod.ProbeUnknown:
		r.wait(p, retry(now, every, p.unmade))
	default:
		r.wait(p, following(p.next, now, every))
	}
}

func (r *Runner) record(p *probe, a pod.ProbeAttempt) (pod.ProbeVerdict, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.gone {
		return pod.ProbeVerdict{}, false
	}
	return p.count(a)
}
