package state

import (
	"maps"
	"sync"
)

// History keeps the newest instance number of each pod. Its methods may be
// called from any goroutine.
type History struct {
	mu   sync.Mutex
	file *File[map[string]int]
	// saved is what the file has, version that of it.
	saved   map[string]int
	version int
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

// Save makes numbers durable, and does nothing if they are, or if newer ones
// are: each knows what those of lower versions knew.
func (h *History) Save(numbers map[string]int, version int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if version < h.version || h.saved != nil && maps.Equal(numbers, h.saved) {
		return nil
	}
	if err := h.file.Save(numbers); err != nil {
		return err
	}
	h.saved, h.version = maps.Clone(numbers), version
	return nil
}
