package agent

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/agent/plan/service"
	"github.com/podstead/podstead/pod"
)

// patience is how long the first setting of the network waits for the sources,
// where nobody knows which Services there were.
const patience = 10 * time.Second

// Names answers pods that look for Services by name.
type Names interface {
	// Set makes it answer with a zone from then on. Until the first call what
	// a former podstead set stays.
	Set(zone pod.Zone) error
}

// Services keeps what is known of Services over restarts. It may be lost: then
// they get the same again by their names, unless others have it by then.
type Services interface {
	// Load returns what was saved last; ok is false if nothing was. A damaged
	// record is put aside, and the error tells so.
	Load() (r ServiceRecord, ok bool, err error)
	// Save replaces the record durably, and does nothing if it is the same.
	Save(ServiceRecord) error
}

// ServiceRecord is what is kept of Services.
type ServiceRecord struct {
	// Given are their addresses and ports.
	Given service.Memory
	// Objects are they and their EndpointSlices, for as long as nobody can
	// tell whether their source still wants them.
	Objects []pod.Object
}

// services is what is known of Services, and of where their traffic goes.
type services struct {
	// wanted are the objects that sources want. objects are those that count
	// by now: who holds ports that new ones want is asked first. taken tells
	// that there are such.
	wanted, objects []pod.Object
	taken           bool
	asked           []pod.Listener
	asking          bool
	// askAt is when to ask; 0 for never.
	askAt pod.Moment

	// stale tells that something that decides has changed.
	stale    bool
	resolved bool
	result   service.Result
	memory   service.Memory
	// views are what people see; unseen is what they don't see yet.
	views  []pod.ServiceView
	unseen *service.Input

	names, record setting
	// recorded tells that what there was before this podstead is known;
	// otherwise the network waits for the sources until latest.
	recorded bool
	latest   pod.Moment
	// applied are the instances that get traffic; nil while that is not known.
	// setting are those that get some by what is being set.
	applied, setting map[pod.Instance]bool
}

func (l *loop) loadServices() {
	s := &l.services
	s.latest = l.cfg.Now().Moment.Add(patience)
	record, ok, err := l.cfg.Services.Load()
	if err != nil {
		l.counts.change().Recoveries++
		l.event(pod.Key{}, warning, "StateRecovered", fmt.Sprintf("what Services were given could not be read and is begun anew: %v", err))
	}
	s.recorded, s.memory = ok, record.Given
	if l.objects == nil {
		l.objects = map[pod.ObjectKey]plan.ObjectWant{}
	}
	for i := range record.Objects {
		o := &record.Objects[i]
		l.objects[o.ObjectKey] = plan.ObjectWant{Object: o}
	}
}

// wantServices takes the objects that sources want, or first asks about ports
// that they want.
func (l *loop) wantServices() {
	s := &l.services
	var wanted []pod.Object
	for key, w := range l.objects {
		if w.Object != nil && (key.Kind == pod.KindService || key.Kind == pod.KindEndpointSlice) {
			wanted = append(wanted, *w.Object)
		}
	}
	slices.SortFunc(wanted, func(a, b pod.Object) int { return a.ObjectKey.Compare(b.ObjectKey) })
	if s.taken && sameObjects(wanted, s.wanted) {
		return
	}
	s.wanted = wanted
	if len(service.PortsToAsk(wanted, s.memory)) == 0 {
		s.take(wanted)
	} else {
		s.askAt = l.cfg.Now().Moment
	}
}

func (s *services) take(objects []pod.Object) {
	if !s.taken || !sameObjects(s.objects, objects) {
		s.objects, s.taken, s.stale, s.record.changed = objects, true, true, true
	}
}

func sameObjects(a, b []pod.Object) bool {
	return slices.EqualFunc(a, b, func(a, b pod.Object) bool {
		return a.ObjectKey == b.ObjectKey && a.Content() == b.Content() && a.Origin == b.Origin
	})
}

// asksPortsAt is when ports are to be asked about; 0 while there are none, or
// that can't be done yet, however late it is: a fact will tell.
func (l *loop) asksPortsAt() pod.Moment {
	if l.services.asking || !l.swept {
		return 0
	}
	return l.services.askAt
}

// askPorts asks who holds ports of the host that Services want, as long as they
// don't have them.
func (l *loop) askPorts(now pod.Moment) {
	s := &l.services
	if at := l.asksPortsAt(); at == 0 || now < at {
		return
	}
	s.asking, s.askAt = true, 0
	wanted, ports := s.wanted, service.PortsToAsk(s.wanted, s.memory)
	l.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, l.cfg.OperationTimeout)
		defer cancel()
		found, err := l.cfg.Network.Listeners(ctx, ports...)
		l.send(func(l *loop) { l.portsAsked(wanted, found, err) })
	})
}

// portsAsked takes the answer. One that failed holds nobody back.
func (l *loop) portsAsked(wanted []pod.Object, found []pod.Listener, err error) {
	s := &l.services
	s.asking = false
	if err != nil {
		l.event(pod.Key{}, warning, "PortsUnknown", fmt.Sprintf("it can't be told who listens on ports of this host, so Services get theirs as if they were free: %v", err))
	}
	if !slices.Equal(s.asked, found) {
		s.asked, s.stale = found, true
	}
	s.take(wanted)
	l.askAgain()
}

// askAgain sees to it that ports that somebody holds are asked about again.
func (l *loop) askAgain() {
	s := &l.services
	switch now := l.cfg.Now().Moment; {
	case !sameObjects(s.wanted, s.objects):
		s.askAt = now
	case len(service.PortsToAsk(s.objects, s.memory)) == 0:
		s.askAt = 0
	case s.askAt == 0:
		s.askAt = now.Add(portLook)
	}
}

// resolveServices decides what Services mean, if anything of it changed.
func (l *loop) resolveServices() {
	s := &l.services
	if !s.stale || !s.taken || !l.swept {
		return
	}
	s.stale = false
	in := service.Input{
		Objects: s.objects, Ranges: l.cfg.ServiceRanges, Reserved: l.cfg.NameServers, NodeIPs: l.node.HostIPs,
		Listeners: s.asked, Memory: s.memory, Now: l.cfg.Now().Wall.Round(0),
	}
	for _, key := range sortedKeys(l.pods) {
		in.Pods = append(in.Pods, l.pods[key].members...)
	}
	before, now := s.result, service.Resolve(in)
	l.network.changed = l.network.changed || !s.resolved || !reflect.DeepEqual(before.Services, now.Services)
	s.names.changed = s.names.changed || !s.resolved || !reflect.DeepEqual(before.Zone, now.Zone)
	s.record.changed = s.record.changed || !reflect.DeepEqual(s.memory, now.Memory)
	l.unmerged = l.unmerged || !slices.Equal(before.Claims, now.Claims)
	for _, p := range now.Problems {
		if !slices.Contains(before.Problems, p) {
			l.eventOf(p.Object(), warning, "ServiceIncomplete", p.String()+"; "+p.Consequence)
		}
	}
	s.result, s.memory, s.resolved = now, now.Memory, true
	s.unseen, l.unpublished = &in, true
	l.askAgain()
}

// viewServices brings what people see of Services up to date.
func (l *loop) viewServices() {
	if s := &l.services; s.unseen != nil {
		s.views, s.unseen = service.Views(*s.unseen, s.result, l.cfg.Node.ID, l.cfg.Node.Name), nil
		l.unpublished = true
	}
}

// servicesKnown tells whether the network and names can be set as Services
// want: until then what a former podstead set stays.
func (l *loop) servicesKnown(now pod.Moment) bool {
	s := &l.services
	// Before the first setting nothing wanted may be missing.
	whole := s.applied != nil || sameObjects(s.wanted, s.objects)
	return s.resolved && whole && (s.recorded || now >= s.latest || l.allSynced())
}

// setNames tells the server of names what there is.
func (l *loop) setNames(now pod.Moment) {
	s := &l.services
	if !l.servicesKnown(now) || !s.names.begin(now) {
		return
	}
	zone := s.result.Zone
	l.spawn(func(context.Context) {
		err := l.cfg.Names.Set(zone)
		l.send(func(l *loop) {
			l.services.names.end(err, l.cfg.Now().Moment)
			if err != nil {
				l.event(pod.Key{}, warning, "NamesFailed", fmt.Sprintf("pods find Services by the names of before, and it is tried again: %v", err))
			}
		})
	})
}

// recordServices writes down what Services were given.
func (l *loop) recordServices(now pod.Moment) {
	s := &l.services
	if !l.servicesKnown(now) || !s.record.begin(now) {
		return
	}
	record := ServiceRecord{Given: s.memory, Objects: s.objects}
	l.spawn(func(context.Context) {
		err := l.cfg.Services.Save(record)
		l.send(func(l *loop) {
			l.services.record.end(err, l.cfg.Now().Moment)
			if err != nil {
				l.event(pod.Key{}, warning, "ServicesUnsaved", fmt.Sprintf("what Services were given can't be written down, and it is tried again: %v", err))
			}
		})
	})
}

// nextService is when something of Services is to be done though nothing
// happens; 0 for never.
func (l *loop) nextService(now pod.Moment) pod.Moment {
	s := &l.services
	var next pod.Moment
	moments := []pod.Moment{l.asksPortsAt()}
	switch {
	case l.servicesKnown(now):
		moments = append(moments, s.names.wake(), s.record.wake(), l.network.wake())
	case s.resolved && now < s.latest:
		moments = append(moments, s.latest)
	}
	for _, at := range moments {
		if at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	return next
}
