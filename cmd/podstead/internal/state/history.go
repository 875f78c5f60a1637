package state

import (
	"maps"
	"sync"
)

// maxHistory bounds the pods whose number is kept beyond what is saved.
const maxHistory = 10_000

// History keeps the newest instance number of each pod. Its methods may be
// called from any goroutine.
type History struct {
	mu    sync.Mutex
	file  *File[map[string]int]
	saved map[string]int
}

// NewHistory returns the history at a path.
func NewHistory(path string) *History { return &History{file: NewFile[map[string]int](path)} }

// Load returns what was saved last. A damaged file is put aside; an empty
// history and an error are returned.
func (h *History) Load() (map[string]int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	numbers, _, err := h.file.Load()
	if numbers == nil {
		numbers = map[string]int{}
	}
	h.saved = maps.Clone(numbers)
	return numbers, err
}

// Save makes numbers durable, and does nothing if they are. Numbers only ever
// rise, so a call that comes late, after one that knew more, takes nothing
// back.
func (h *History) Save(numbers map[string]int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	merged := maps.Clone(numbers)
	for pod, n := range h.saved {
		if _, there := merged[pod]; there || len(merged) < maxHistory {
			merged[pod] = max(merged[pod], n)
		}
	}
	if err := h.file.Save(merged); err != nil {
		return err
	}
	h.saved = merged
	return nil
}
