package manifest

import (
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// containerList is one of a pod's lists of containers with its path.
type containerList struct {
	path       string
	containers []corev1.Container
}

// containerLists returns the lists of a pod's spec, which stands at the given
// path.
func containerLists(s *corev1.PodSpec, at string) []containerList {
	return []containerList{
		{at + ".initContainers", s.InitContainers},
		{at + ".containers", s.Containers},
	}
}

// joinPath adds the name of a field to a path.
func joinPath(path, name string) string {
	if path == "" {
		return printable(name)
	}
	return path + "." + printable(name)
}

// keyPath adds the key of a mapping to a path.
func keyPath(path, key string) string { return path + "[" + printable(key) + "]" }

// printable quotes names that would garble a terminal or a log.
func printable(name string) string {
	if q := quote(name); q != `"`+name+`"` {
		return q
	}
	return name
}

// locate says where a field is, or where the nearest thing around it is when
// the field is missing.
func (n *node) locate(path string) place {
	_, at := n.walk(path)
	return at
}

// find returns the value of a field, nil if it is missing.
func (n *node) find(path string) *node {
	found, _ := n.walk(path)
	return found
}

// walk follows a path. It returns the value there, nil if something on the
// way is missing, and the place of the last thing that is not.
func (n *node) walk(path string) (*node, place) {
	at := n.at
	for path != "" {
		var step string
		step, path = cutPath(path)
		var next *node
		if i, err := strconv.Atoi(step); err == nil && n.kind == kindList {
			if i < 0 || i >= len(n.items) {
				return nil, at
			}
			next = n.items[i]
			at = next.at
		} else {
			f := n.field(step)
			if f == nil {
				return nil, at
			}
			next = f.value
			at = placeFor(f.key, f.value)
		}
		n = next
	}
	return n, at
}

// cutPath takes the first step off a path: a name, the number of an entry, or
// the key of a mapping, which may have dots in it.
func cutPath(path string) (step, rest string) {
	path = strings.TrimPrefix(path, ".")
	if strings.HasPrefix(path, "[") {
		if i := strings.IndexByte(path, ']'); i > 0 {
			return path[1:i], path[i+1:]
		}
	}
	i := strings.IndexAny(path, ".[")
	if i <= 0 {
		return path, ""
	}
	return path[:i], path[i:]
}
