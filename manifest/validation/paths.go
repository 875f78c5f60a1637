package validation

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

// pathFault says what is wrong with any path, "" when nothing is. A ".." is
// refused even where it leads nowhere harmful: with symbolic links in between
// nobody can tell where it leads.
func pathFault(p string) string {
	elements := strings.Split(p, "/")
	switch {
	case slices.Contains(elements, ".."):
		return "has a .. in it"
	case strings.ContainsFunc(p, isControl):
		return "has a control character"
	case len(p) > maxPath:
		return "is too long"
	case slices.ContainsFunc(elements, tooLong):
		return fmt.Sprintf("has an element of more than %d bytes between two slashes", maxElement)
	default:
		return ""
	}
}

const (
	// maxPath is Linux' PATH_MAX less the NUL at the end.
	maxPath = 4095
	// maxElement is Linux' NAME_MAX.
	maxElement = 255
)

// tooLong tells whether an element can be no file's name. Of one with a
// variable in it nobody knows yet.
func tooLong(element string) bool {
	return len(element) > maxElement && !strings.Contains(element, "$(")
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// absolutePath refuses anything but an absolute path and tells whether it was
// one.
func (c *checker) absolutePath(at *field.Path, reason pod.Reason, p string) bool {
	fault := pathFault(p)
	if fault == "" && !path.IsAbs(p) {
		fault = "is not absolute"
	}
	if fault == "" {
		return true
	}
	c.refuse(at, reason, finding{fault, quote(p), "an absolute path of at most 4095 bytes without .., such as /data"})
	return false
}

// descendingPath refuses anything but a path that stays below its start.
func (c *checker) descendingPath(at *field.Path, reason pod.Reason, p string) {
	fault := pathFault(p)
	if fault == "" && path.IsAbs(p) {
		fault = "is absolute"
	}
	if fault != "" {
		c.refuse(at, reason, finding{fault, quote(p), "a relative path of at most 4095 bytes without .., such as conf/site"})
	}
}

// within tells whether p is dir or below it, by whole components.
func within(p, dir string) bool {
	p = path.Clean(p)
	return p == dir || strings.HasPrefix(p, dir+"/")
}

// reserved tells whether a container can't have something mounted at p: its
// root, its processes, the whole of its devices.
func reserved(p string) bool {
	clean := path.Clean(p)
	return clean == "/" || clean == "/dev" || within(clean, "/proc")
}
