package runtime

import "github.com/podstead/podstead/pod"

// roomTries bounds how often room is made for one operation: containerd writes
// into several databases, and each may need some.
const roomTries = 4

// whenFull does what gives room back, or ends something. What fills a disk
// must be removable from it: when there is not even room to record that, room
// is made out of what was set aside, and it is tried again.
func (r *Runtime) whenFull(do func() error) error {
	err := do()
	for range roomTries {
		if !pod.DiskFull(err) || r.cfg.MakeRoom == nil || !r.cfg.MakeRoom() {
			break
		}
		err = do()
	}
	return err
}
