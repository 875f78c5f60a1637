package workload_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// world is a server in miniature that does what the decisions about one
// workload say: pods start, become ready, crash and stop, images come, and a
// clock is turned by hand. It knows nothing of how decisions are made; it
// judges them (judge_test.go).
type world struct {
	settings workload.Settings
	now      pod.Moment
	boots    int

	// form is what the manifest says, ruling what it said when it was last
	// read.
	form, ruling form
	object       *pod.Object
	// keep and gone are what the sources say beside the object.
	keep, gone  bool
	runtimeDown bool

	record *workload.Record
	shown  *workload.Status
	pods   []*simPod
	// behaviours are those of images; one that is not in it is ready after 2
	// seconds and stays so.
	behaviours map[string]behaviour
	// absent are images that the registry does not have; local ones are here.
	// While it hangs it never answers.
	absent, local map[string]bool
	hangs         bool
	// means is what tags mean in the registry, here what they mean on this
	// server; one that is not in it means "sha256:1".
	means, here map[string]string
	fetched     map[workload.Image]workload.Fetched
	fetching    map[workload.Image]pod.Moment
	// capacity is how many pods fit; 0 for no limit.
	capacity int
	taken    []workload.Taken
	grace    time.Duration

	last     workload.Decision
	events   []string
	trace    []string
	rounds   int
	failed   map[string]bool // templates that failed, as the world saw it
	problems []string
	// fault, if set, spoils what is decided.
	fault func(*workload.Have, *workload.Decision)
}

func newWorld(f form) *world {
	w := &world{
		settings: workload.DefaultSettings(), now: pod.Moment(time.Hour),
		behaviours: map[string]behaviour{}, absent: map[string]bool{}, local: map[string]bool{},
		means: map[string]string{}, here: map[string]string{},
		fetched: map[workload.Image]workload.Fetched{}, fetching: map[workload.Image]pod.Moment{},
		grace: 5 * time.Second, failed: map[string]bool{},
	}
	w.settings.NodeID, w.settings.BootID = "node", "boot-0"
	w.settings.Node = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "server", Labels: map[string]string{"disk": "ssd"}}}
	w.set(f)
	return w
}

// set changes the manifest.
func (w *world) set(f form) {
	w.form, w.object = f, f.object()
	w.gone = false
}

func (w *world) stamp() pod.Stamp {
	return pod.Stamp{Moment: w.now, Wall: time.Unix(1_800_000_000, 0).Add(time.Duration(w.boots)*24*time.Hour + time.Duration(w.now)).UTC()}
}

func (w *world) want() workload.Want {
	if w.gone {
		return workload.Want{Gone: "removed", Keep: w.keep}
	}
	return workload.Want{Object: w.object, Keep: w.keep}
}

func (w *world) have() workload.Have {
	h := workload.Have{RuntimeUp: !w.runtimeDown, Images: w.fetched, Taken: w.taken, Record: w.record, Shown: w.shown}
	h.Pods = make([]workload.Pod, 0, len(w.pods))
	for _, p := range w.pods {
		o := workload.Pod{
			Key: p.desired.Key, Revision: p.revision, Desired: p.desired, Stopping: p.stopping,
			Ready: p.ready, Crashes: p.crashes, Blocked: p.blocked,
		}
		if p.digest != "" {
			o.Images = map[string]string{"app": p.digest}
		}
		if p.unreadable {
			o.Desired = nil
		}
		if p.crashes > 0 {
			code := 1
			o.Troubles = []pod.Trouble{{Container: "app", Reason: "Error", ExitCode: &code, LogTail: []string{"no database"}}}
		}
		h.Pods = append(h.Pods, o)
	}
	if w.capacity > 0 {
		h.Free = w.free(len(w.pods))
	}
	return h
}

// free is what is left beside so many pods.
func (w *world) free(pods int) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: *resource.NewMilliQuantity(int64(w.capacity-pods)*100, resource.DecimalSI)}
}

// decide makes decisions, judges them and carries them out until nothing new
// comes of it at this moment. It returns when to wake.
func (w *world) decide() pod.Moment {
	if !w.keep && !w.runtimeDown {
		w.ruling = w.form
	}
	const (
		enough      = 4
		judgedAgain = 8 // of so many decisions one is
	)
	for round := 0; ; round++ {
		if w.rounds%judgedAgain == 0 {
			w.judgeAgain()
		}
		h := w.have()
		d := workload.Decide(w.settings, w.want(), h, w.stamp())
		if w.fault != nil {
			w.fault(&h, &d)
		}
		w.rounds++
		w.judge(&h, &d)
		changed := w.carryOut(&d)
		switch news := w.admit(); {
		case !changed && !news:
			return d.Wake
		case round > enough:
			w.violate("it decides something new again and again: ended %v, events %v, store %v", d.Ended, d.Events, d.Store)
			return d.Wake
		}
	}
}

// carryOut does what a decision says, and tells whether that was anything.
func (w *world) carryOut(d *workload.Decision) bool {
	w.last = *d
	if d.Keep {
		return false
	}
	if d.Store {
		w.record = d.Record
		if d.Record == nil { // what failed is forgotten with the workload
			clear(w.failed)
		}
	}
	w.shown = &d.Status
	for _, e := range d.Events {
		w.events = append(w.events, e.Reason+": "+e.Message)
	}
	wanted := make(map[string]*pod.Desired, len(d.Pods))
	for _, p := range d.Pods {
		wanted[p.Key.Name] = p
	}
	changed := d.Store
	for _, p := range w.pods {
		name := p.desired.Key.Name
		if now := wanted[name]; now != nil {
			delete(wanted, name)
			continue
		}
		if p.stopping || slices.ContainsFunc(d.Unreadable, func(k pod.Key) bool { return k.Name == name }) {
			continue
		}
		p.stopping, p.ready, p.at, p.what = true, pod.Stamp{}, w.now.Add(w.grace), isGone
		w.note("-", p)
		changed = true
	}
	for _, o := range d.Pods {
		if wanted[o.Key.Name] == nil {
			continue
		}
		p := &simPod{desired: o, revision: o.Pod.Labels[workload.HashLabel(w.form.kind)]}
		w.pods = append(w.pods, p)
		w.note("+", p)
		changed = true
	}
	for _, f := range d.Fetch {
		if w.local[f.Name] && f.Policy != corev1.PullAlways {
			changed = changed || !w.fetched[f.Image].Present
			w.fetched[f.Image] = workload.Fetched{Present: true}
			continue
		}
		if _, under := w.fetching[f.Image]; !under && !w.hangs && (w.fetched[f.Image].Problem == "" || !w.absent[tagOf(f.Name)]) {
			w.fetching[f.Image] = w.now.Add(3 * time.Second)
		}
	}
	return changed
}

func (w *world) note(what string, p *simPod) {
	w.trace = append(w.trace, what+p.image()+"/"+p.desired.Key.Name)
}

// advance turns the clock by d and decides whenever something happens or was
// asked for.
func (w *world) advance(d time.Duration) {
	end := w.now.Add(d)
	for range 2000 {
		next := w.decide()
		for _, p := range w.pods {
			next = earlier(next, p.at)
		}
		for _, at := range w.fetching {
			next = earlier(next, at)
		}
		if next == 0 || next > end {
			w.now = end
			return
		}
		w.now = max(next, w.now)
		w.happen()
	}
	w.violate("it never comes to rest")
}

func earlier(a, b pod.Moment) pod.Moment {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// restart leaves podstead with what is on disk and what runs.
func (w *world) restart() {
	w.shown = nil
	w.fetched, w.fetching = map[workload.Image]workload.Fetched{}, map[workload.Image]pod.Moment{}
	w.object = w.form.object()
	if w.record == nil {
		return
	}
	var err error
	if w.record, err = readBack(w.record); err != nil {
		w.violate("the record can't be stored: %v", err)
	}
}

// reboot starts every pod anew, with a clock that begins anew.
func (w *world) reboot() {
	w.restart()
	w.boots++
	w.settings.BootID = fmt.Sprintf("boot-%d", w.boots)
	w.now = pod.Moment(20 * time.Second)
	w.pods = slices.DeleteFunc(w.pods, func(p *simPod) bool { return p.stopping })
	for _, p := range w.pods {
		p.admitted, p.ready, p.crashes, p.at = false, pod.Stamp{}, 0, 0
	}
	w.admit()
}

// command is what a person asks for; it reports what they read.
func (w *world) command(c pod.RolloutCommand) (string, error) {
	record, done, err := workload.Apply(c, w.record, w.stamp())
	if err == nil {
		w.record = record
	}
	return done, err
}

func (w *world) violate(format string, args ...any) {
	if len(w.problems) < 3 {
		w.problems = append(w.problems, fmt.Sprintf("at %v: ", time.Duration(w.now))+fmt.Sprintf(format, args...))
	}
}

func (w *world) err() error {
	if len(w.problems) == 0 {
		return nil
	}
	return fmt.Errorf("%s\ntrace: %s\nevents: %s", strings.Join(w.problems, "\n"), strings.Join(w.trace, " "), strings.Join(w.events, "\n"))
}
