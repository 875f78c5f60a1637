package state

import "github.com/podstead/podstead/pod"

// Verdicts keeps what probes and hooks said, over a restart of podstead. Its
// file belongs where a boot clears it: the runs that it speaks of end there.
type Verdicts struct{ file *File[[]pod.ProbeVerdict] }

// NewVerdicts returns the verdicts at a path.
func NewVerdicts(path string) *Verdicts { return &Verdicts{file: NewFile[[]pod.ProbeVerdict](path)} }

// Load returns what was saved last, or nothing and an error when the file was
// damaged and put aside.
func (v *Verdicts) Load() ([]pod.ProbeVerdict, error) {
	list, _, err := v.file.Load()
	return list, err
}

// Save replaces what is kept. It is called by one goroutine at a time.
func (v *Verdicts) Save(list []pod.ProbeVerdict) error { return v.file.Save(list) }
