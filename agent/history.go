package agent

import (
	"maps"

	"github.com/podstead/podstead/pod"
)

// maxHistory bounds the history; what exceeds it is forgotten, which costs
// nothing but that a number may be used again by a pod long gone.
const maxHistory = 10_000

// History keeps the highest instance number of pods that are gone, by
// "namespace/name". It is all that the agent itself stores: everything else
// can be observed.
type History interface {
	// Load returns what was saved last; a damaged record is put aside, an
	// empty history and an error are returned.
	Load() (map[string]int, error)
	// Save replaces the history durably, and does nothing if it is the same.
	Save(map[string]int) error
}

func (l *loop) loadHistory() error {
	h, err := l.cfg.History.Load()
	if h != nil {
		l.history = h
	}
	return err
}

// remember adds an instance to the history and returns a copy to be saved.
func (l *loop) remember(i pod.Instance) map[string]int {
	name := i.Key.String()
	if l.history[name] < i.Number {
		l.history[name] = i.Number
	}
	for key := range l.history {
		if len(l.history) <= maxHistory {
			break
		}
		if key != name {
			delete(l.history, key)
		}
	}
	return maps.Clone(l.history)
}
