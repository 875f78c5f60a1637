package workload_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// judgeAgain: a decision changes nothing that it is given. It is the same when
// it is made again, in whatever order things were observed, and of a record
// that was read from disk.
func (w *world) judgeAgain() {
	h, want := w.have(), w.want()
	before := snapshot(w.settings, want, h)
	d := workload.Decide(w.settings, want, h, w.stamp())
	if after := snapshot(w.settings, want, h); after != before {
		w.violate("a decision changed what it was given:\n%s", cmp.Diff(before, after))
	}
	first := snapshot(d)
	mirrored := w.have()
	slices.Reverse(mirrored.Pods)
	slices.Reverse(mirrored.Taken)
	if again := snapshot(workload.Decide(w.settings, want, mirrored, w.stamp())); again != first {
		w.violate("it is decided otherwise again:\n%s", cmp.Diff(first, again))
	}
	if h.Record == nil {
		return
	}
	read, err := readBack(h.Record)
	if err != nil {
		w.violate("the record can't be stored: %v", err)
		return
	}
	h.Record = read
	if again := snapshot(workload.Decide(w.settings, want, h, w.stamp())); again != first {
		w.violate("it is decided otherwise of a record from disk:\n%s", cmp.Diff(first, again))
	}
}

// judgeFollowing: a decision is all that is to be done before something is
// observed. Made again when what it ended stops, what it added is there and
// its record is stored, nothing comes of it.
func (w *world) judgeFollowing(h *workload.Have, d *workload.Decision) {
	next := w.following(h, d)
	if !d.Store && len(d.Ended)+len(d.Events) == 0 && len(next.Pods) == len(h.Pods) {
		return // nothing came of it, so the same facts are decided the same
	}
	again := workload.Decide(w.settings, w.want(), next, w.stamp())
	before, after := podNames(d), podNames(&again)
	if len(again.Ended) > 0 || !slices.Equal(before, after) {
		w.violate("decided again it ends %v, and of the pods %v become %v", again.Ended, before, after)
	}
	if again.Store || len(again.Events) > 0 {
		w.violate("decided again it says %v, and stores %v:\n%s", again.Events, again.Store, cmp.Diff(snapshot(d.Record), snapshot(again.Record)))
	}
}

// following is what there is when a decision was carried out, and nothing else
// was observed.
func (w *world) following(h *workload.Have, d *workload.Decision) workload.Have {
	next := *h
	next.Record, next.Shown, next.Pods = d.Record, &d.Status, nil
	label := workload.HashLabel(w.ruling.kind)
	for _, p := range h.Pods {
		if !p.Stopping && !wants(d, p.Key) {
			p.Stopping, p.Ready = true, pod.Stamp{}
		}
		next.Pods = append(next.Pods, p)
	}
	for _, o := range d.Pods {
		if !slices.ContainsFunc(h.Pods, func(p workload.Pod) bool { return p.Key == o.Key }) {
			next.Pods = append(next.Pods, workload.Pod{Key: o.Key, Revision: o.Pod.Labels[label], Desired: o})
		}
	}
	if w.capacity > 0 {
		next.Free = w.free(len(next.Pods))
	}
	return next
}

func podNames(d *workload.Decision) []string {
	var names []string
	for _, o := range d.Pods {
		names = append(names, o.Key.Name)
	}
	return names
}

// snapshot writes values with all that they point to. It is the same for
// values that mean the same.
func snapshot(values ...any) string {
	var text strings.Builder
	for _, v := range values {
		if h, is := v.(workload.Have); is { // maps with such keys have no JSON
			fmt.Fprintf(&text, "%v\n%v\n", h.Images, h.Others)
			h.Images, h.Others = nil, nil
			v = h
		}
		out, err := json.Marshal(v)
		fmt.Fprintf(&text, "%s %v\n", out, err)
	}
	return text.String()
}

// readBack stores a record and reads it.
func readBack(rec *workload.Record) (*workload.Record, error) {
	text, err := json.Marshal(rec)
	if err != nil {
		return nil, err
	}
	read := &workload.Record{}
	return read, json.Unmarshal(text, read)
}
