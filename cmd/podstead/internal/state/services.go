package state

import "github.com/podstead/podstead/agent"

// Services keeps what Services were given.
type Services struct{ file *File[agent.ServiceRecord] }

// NewServices returns what is kept at a path.
func NewServices(path string) *Services {
	return &Services{file: NewFile[agent.ServiceRecord](path)}
}

// Load returns what was saved last, or nothing and an error when the file was
// damaged and put aside.
func (s *Services) Load() (agent.ServiceRecord, bool, error) { return s.file.Load() }

// Save replaces what is kept. It is called by one goroutine at a time.
func (s *Services) Save(r agent.ServiceRecord) error { return s.file.Save(r) }
