package workload

// keepNumber decides for a ReplicaSet: it keeps the number of its pods. As in
// Kubernetes a change of its template concerns new pods only.
func (r *decider) keepNumber() {
	r.frozen = r.closed
	r.gather()
	if r.n == 0 {
		r.endAll()
		return
	}
	for len(r.members) > r.n {
		r.end(r.victim(all), r.scaledDown())
	}
	for len(r.members) < r.n && !r.closed {
		r.add("")
	}
}
