package faults

import (
	"strings"
	"time"

	"github.com/podstead/podstead/test/record"
)

// edit changes one manifest at random.
func (c *campaign) edit() {
	s := c.subjects[c.random.IntN(len(c.subjects))]
	switch {
	case s.asked:
	case s.mode != wanted:
		c.restore(s)
	case c.chance(0.2):
		c.remove(s)
	case c.chance(0.2):
		c.spoil(s)
	default:
		c.change(s)
	}
}

// restore puts a whole manifest into place.
func (c *campaign) restore(s *subject) {
	s.mode = wanted
	for name := range s.images {
		s.images[name] = max(0, s.images[name])
	}
	s.renew()
	c.publish(s, "restore")
}

func (c *campaign) remove(s *subject) {
	c.host.Remove(s.file())
	s.mode = absent
	c.host.Want(s.wish())
	c.count("remove")
	c.log("remove %s", s.pod)
}

// change makes an edit that is in order. One of a container alone must touch
// no other; labels and resources must touch none.
func (c *campaign) change(s *subject) {
	p := s.parts[c.random.IntN(len(s.parts))]
	alone := s.policy == "Always" && p.role != initial
	switch n := c.random.IntN(6); {
	case n == 0:
		s.label++
		c.publish(s, "label")
	case n == 1 && alone:
		s.cpu[p.name] = (s.cpu[p.name] + 1) % 5
		c.publish(s, "resources")
	case n <= 3 && alone:
		s.renew(p.name)
		c.publish(s, "env of "+p.name)
	case n == 4 && alone:
		s.images[p.name] ^= 1
		s.renew(p.name)
		c.publish(s, "image of "+p.name)
	default:
		s.host++
		s.renew()
		c.publish(s, "pod")
	}
}

// publish tells the judge of a manifest and writes it.
func (c *campaign) publish(s *subject, what string) {
	c.host.Want(s.wish())
	text := s.manifest(c.t, c.host.Witness)
	if c.chance(0.2) {
		c.host.WriteSlowly(s.file(), text, 30*time.Millisecond)
	} else {
		c.host.Write(s.file(), text)
	}
	c.count("edit")
	c.log("write %s: %s, generation %d", s.pod, what, s.last)
}

// spoil breaks a manifest of which every container has been started as it is
// wanted: what is wanted last before is known only then.
func (c *campaign) spoil(s *subject) {
	if !c.taken(s) {
		return
	}
	text := s.manifest(c.t, c.host.Witness)
	what := "cut"
	switch n := c.random.IntN(3); {
	case n == 0:
		text = text[:len(text)/2] + "\n\t{"
	case n == 1:
		what = "unknown field"
		text = strings.Replace(text, "spec:\n", "spec:\n  containerz: []\n", 1)
	case !s.steady() || s.policy != "Always":
		what = "wrong value"
		text = strings.Replace(text, "restartPolicy: ", "restartPolicy: Some", 1)
	default:
		what = "missing image"
		name := s.parts[len(s.parts)-1].name
		image := s.images[name]
		s.images[name] = -1
		text = s.manifest(c.t, c.host.Witness)
		s.images[name] = image
	}
	c.host.Write(s.file(), text)
	s.mode = stuck
	c.count("spoil")
	c.log("spoil %s: %s", s.pod, what)
}

// taken tells whether each container began with the generation that is wanted
// of it.
func (c *campaign) taken(s *subject) bool {
	for _, p := range s.parts {
		runs := c.runs(s.id(p.name))
		if len(runs) == 0 || runs[len(runs)-1].Generation != s.generation(s.gens[p.name]) {
			return false
		}
	}
	return true
}

// runs are the beginnings of a witness's lives, and what it wrote of each
// one's end.
func (c *campaign) runs(id string) []life {
	events, err := record.Load[record.Witness](record.Path(c.host.Witness, id))
	if err != nil {
		c.t.Fatal(err)
	}
	var runs []life
	for _, e := range events {
		switch e.Event {
		case record.Start:
			runs = append(runs, life{Witness: e})
		case record.Term:
			runs[len(runs)-1].signalled = true
		case record.Exit:
			last := &runs[len(runs)-1]
			last.ended, last.code = true, e.Code
			last.signalled = last.signalled || e.Signal != 0
		}
	}
	return runs
}

// life is one run of a witness.
type life struct {
	record.Witness
	ended, signalled bool
	code             int
}
