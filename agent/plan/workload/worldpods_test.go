package workload_test

import (
	"cmp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// behaviour is how the pods of an image fare.
type behaviour struct {
	never bool          // never ready
	ready time.Duration // ready so long after the start
	crash time.Duration // crashes so long after the start; 0 for never
	sick  time.Duration // turns unready so long after it was ready; 0 for never
}

func (b behaviour) healthy() bool { return !b.never && b.crash == 0 && b.sick == 0 }

type simPod struct {
	desired             *pod.Desired
	revision            string
	stopping, admitted  bool
	started             pod.Moment
	ready               pod.Stamp
	crashes             int
	at                  pod.Moment // the next thing that happens to it; 0 for nothing
	what                happening
	blocked             string
	unreadable, ailment bool
	digest              string // of the image that it runs
}

type happening int

const (
	starts happening = iota
	turnsReady
	crashes
	turnsSick
	isGone
)

// name is that of its image as it is wanted, image the same without a digest.
func (p *simPod) name() string  { return p.desired.Pod.Spec.Containers[0].Image }
func (p *simPod) image() string { return tagOf(p.name()) }

func (p *simPod) asks() bool {
	return p.desired.Pod.Spec.Containers[0].ImagePullPolicy == corev1.PullAlways
}

func tagOf(name string) string {
	tag, _, _ := strings.Cut(name, "@")
	return tag
}

// pull brings an image and returns its digest. It stays when its tag moves.
func (w *world) pull(name string) string {
	tag, digest, exact := strings.Cut(name, "@")
	if !exact {
		digest = cmp.Or(w.means[tag], "sha256:1")
		w.here[tag], w.local[tag] = digest, true
	}
	w.local[tag+"@"+digest] = true
	return digest
}

// resolve is the digest of an image that a pod starts with.
func (w *world) resolve(p *simPod) string {
	tag, digest, exact := strings.Cut(p.name(), "@")
	switch {
	case exact && w.local[p.name()]:
		return digest
	case !exact && w.local[tag] && (!p.asks() || w.hangs || w.absent[tag]):
		return cmp.Or(w.here[tag], "sha256:1")
	}
	return w.pull(p.name())
}

func (p *simPod) port() int32 {
	if ports := p.desired.Pod.Spec.Containers[0].Ports; len(ports) > 0 {
		return ports[0].HostPort
	}
	return 0
}

// admit starts the pods that can start. It tells whether that told anything
// new about one.
func (w *world) admit() bool {
	news := false
	running, ports := 0, map[int32]bool{}
	for _, p := range w.pods {
		if p.admitted {
			running++
			ports[p.port()] = true
		}
	}
	for _, p := range w.pods {
		if p.admitted || p.stopping {
			continue
		}
		before := p.blocked
		switch {
		case w.hangs && (!w.local[p.name()] || p.asks()):
			p.blocked = "the registry does not answer"
		case w.absent[p.image()] && !w.local[p.name()]:
			p.blocked = "image can't be pulled"
		case w.capacity > 0 && running >= w.capacity:
			p.blocked = "no room"
		case p.port() != 0 && ports[p.port()]:
			p.blocked = "host port is taken"
		default:
			p.blocked, p.admitted = "", true
			p.digest = w.resolve(p)
			running++
			ports[p.port()] = true
			w.start(p)
		}
		news = news || before != p.blocked
	}
	return news
}

func (w *world) start(p *simPod) {
	b, known := w.behaviours[p.image()]
	if !known {
		b.ready = 2 * time.Second
	}
	p.started, p.at = w.now, 0
	switch {
	case !b.never && (b.crash == 0 || b.ready < b.crash):
		p.at, p.what = w.now.Add(b.ready), turnsReady
	case b.crash > 0:
		p.at, p.what = w.now.Add(b.crash), crashes
	}
}

// happen does what is due.
func (w *world) happen() {
	for _, p := range slices.Clone(w.pods) {
		if p.at == 0 || p.at > w.now {
			continue
		}
		p.at = 0
		b := w.behaviours[p.image()]
		switch p.what {
		case starts:
			w.start(p)
		case turnsReady:
			p.ready = w.stamp()
			if b.crash > 0 {
				p.at, p.what = p.started.Add(b.crash), crashes
			} else if b.sick > 0 {
				p.at, p.what = w.now.Add(b.sick), turnsSick
			}
		case crashes:
			w.crash(p)
		case turnsSick:
			p.ready = pod.Stamp{}
		case isGone:
			w.pods = slices.DeleteFunc(w.pods, func(o *simPod) bool { return o == p })
		}
	}
	for image, at := range w.fetching {
		if at > w.now {
			continue
		}
		delete(w.fetching, image)
		if w.absent[tagOf(image.Name)] {
			w.fetched[image] = workload.Fetched{Problem: "not found"}
		} else {
			w.fetched[image] = workload.Fetched{Present: true}
			w.pull(image.Name)
		}
	}
	w.admit()
}

// crash ends a pod's process; it starts again after a while. One that crashes
// for ever is left alone in the end.
func (w *world) crash(p *simPod) {
	p.ready, p.at = pod.Stamp{}, 0
	p.crashes++
	if p.crashes < 12 {
		p.at, p.what = w.now.Add(time.Duration(min(p.crashes, 6))*5*time.Second), starts
	}
}
