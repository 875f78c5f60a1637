package workload

import (
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// order is how a revision replaces others: how many pods there may be above
// the wanted number, how many available ones may be missing from it, and why.
type order struct {
	surge, missing int
	// apart: a new pod starts when every old one is gone.
	apart bool
	// inTurn: a new pod starts when an old one that made way for it is gone.
	inTurn bool
	// alone: no two pods of the revision itself may be at once.
	alone bool
	// why says it in words: "start-first: ..." or "stop-first: ...".
	why string
}

// orderOf decides how pods of a revision replace those of others that run.
func (r *decider) orderOf(rev *Revision) order {
	o := order{inTurn: r.oneAtATime, alone: r.exclusive(&rev.Template.Spec, &rev.Template.Spec) != ""}
	o.surge, o.missing = r.bounds(r.n)
	switch why := r.apart(rev); {
	case why != "":
		return order{missing: r.n, apart: true, inTurn: true, why: "stop-first: " + why}
	case o.surge == 0:
		o.why = fmt.Sprintf("stop-first: maxSurge is 0, so up to %s at a time", plural(o.missing, "pod makes way", "pods make way"))
	case r.tight(rev, o):
		o.missing = 1
		o.why = fmt.Sprintf("stop-first: a pod of it requests %s, and a second one does not fit beside those that run (free: %s), so one of them makes way",
			listText(requests(&rev.Template.Spec)), listText(r.have.Free))
	default:
		o.why = fmt.Sprintf("start-first: up to %s above the %d wanted, and of these up to %d may be missing", plural(o.surge, "pod", "pods"), r.n, o.missing)
	}
	return o
}

// apart says why no pod of a revision may run beside one of another revision;
// "" if it may.
func (r *decider) apart(rev *Revision) string {
	switch {
	case r.recreate:
		return "its strategy is Recreate, so every old pod ends before a new one starts"
	case r.order == pod.StopFirst:
		return "its annotation " + pod.UpdateOrderAnnotation + " says so, so every old pod ends before a new one starts"
	}
	seen := map[string]bool{}
	for i := range r.have.Pods {
		p := &r.have.Pods[i]
		other := r.rec.Revision(p.Revision)
		if other == nil || seen[p.Revision] || other == rev {
			continue
		}
		seen[p.Revision] = true
		if why := r.exclusive(&rev.Template.Spec, &other.Template.Spec); why != "" {
			return why
		}
	}
	return ""
}

// exclusive finds what two pods can't have at once: a port of the host, or a
// folder of the host that both write to. Where several pods of one version
// write to it anyway, or the annotation says that they may, it is no reason.
func (r *decider) exclusive(a, b *corev1.PodSpec) string {
	for _, mine := range pod.HostPorts(a) {
		for _, theirs := range pod.HostPorts(b) {
			if mine.Clashes(theirs) {
				return fmt.Sprintf("host port %s is fixed, so only one pod can hold it, and there is a gap until the new one is ready", mine)
			}
		}
	}
	if r.n > 1 || r.order == pod.StartFirst {
		return ""
	}
	for _, mine := range written(a) {
		for _, theirs := range written(b) {
			if within(mine, theirs) || within(theirs, mine) {
				return fmt.Sprintf("hostPath %s can be written to, so only one pod may use it, and there is a gap until the new one is ready "+
					"(the annotation %s: %s lets two use it)", mine, pod.UpdateOrderAnnotation, pod.StartFirst)
			}
		}
	}
	return ""
}

// written lists the folders of the host that a pod may write to. Sockets,
// devices and single files are made to be shared.
func written(spec *corev1.PodSpec) []string {
	var paths []string
	for i := range spec.Volumes {
		v := &spec.Volumes[i]
		if v.HostPath == nil {
			continue
		}
		switch or(v.HostPath.Type, corev1.HostPathUnset) {
		case corev1.HostPathUnset, corev1.HostPathDirectory, corev1.HostPathDirectoryOrCreate:
			if mountedWritable(spec, v.Name) {
				paths = append(paths, path.Clean(v.HostPath.Path))
			}
		}
	}
	return paths
}

func mountedWritable(spec *corev1.PodSpec, volume string) bool {
	for _, c := range containers(spec) {
		for i := range c.VolumeMounts {
			if m := &c.VolumeMounts[i]; m.Name == volume && !m.ReadOnly {
				return true
			}
		}
	}
	return false
}

// within tells whether a path is a folder or below it.
func within(inner, folder string) bool {
	return inner == folder || strings.HasPrefix(inner, strings.TrimSuffix(folder, "/")+"/")
}

// tight tells whether the rolling update could not go on: a new pod may be
// added by its number, no old one may be missing, and there is no room for
// both. Nothing is under way that would make room or change that.
func (r *decider) tight(rev *Revision, o order) bool {
	if o.missing > 0 || fits(requests(&rev.Template.Spec), r.have.Free) > 0 {
		return false
	}
	updated, total := 0, 0
	for i := range r.have.Pods {
		p := &r.have.Pods[i]
		switch {
		case p.Stopping:
			return false
		case p.Revision == rev.Hash && p.Blocked != "":
			continue // it waits for that very room
		case p.Revision == rev.Hash && p.Ready.IsZero():
			return false
		case p.Revision == rev.Hash:
			updated++
		}
		total++
	}
	return updated < r.n && updated < total && total < r.n+o.surge
}
