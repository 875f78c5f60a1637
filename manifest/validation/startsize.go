package validation

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

const (
	// maxString is the kernel's MAX_ARG_STRLEN with 4 KiB pages, less the NUL
	// at the end: the longest argument or NAME=value.
	maxString = 128<<10 - 1
	// maxStart bounds command, args and environment together. The kernel
	// allows a quarter of the stack limit, 2 MiB by default; the image's own
	// environment needs room beside the manifest's.
	maxStart = 1 << 20
	// unknownField is assumed for values that are known only when the
	// container starts, such as addresses: the longest DNS name.
	unknownField = 253
	// hugeLength stands for any length that is far beyond every bound, so
	// that sums can't overflow.
	hugeLength = 1 << 40
)

// startSize refuses what no program can be started with. Variables are
// expanded by length only: thirty that double each other would otherwise fill
// the host's memory when the container starts.
func (c *checker) startSize(k *corev1.Container, at *field.Path) {
	lengths := map[string]int{}
	total := 0
	for i := range k.Env {
		n := c.envLength(&k.Env[i], lengths)
		total = addLength(total, c.stringSize(n+len(k.Env[i].Name)+1, at.Child("env").Index(i)))
		lengths[k.Env[i].Name] = n
	}
	for i, word := range k.Command {
		total = addLength(total, c.stringSize(expandedLength(word, lengths), at.Child("command").Index(i)))
	}
	for i, word := range k.Args {
		total = addLength(total, c.stringSize(expandedLength(word, lengths), at.Child("args").Index(i)))
	}
	if total > maxStart {
		c.refuse(at, pod.ReasonLimit, finding{
			"is too large to be started (E2BIG): command, args and env together, with $(VAR) expanded",
			bytesOf(total), fmt.Sprintf("at most %d bytes", maxStart)})
	}
}

// stringSize refuses one string that is too long and returns its length.
func (c *checker) stringSize(n int, at *field.Path) int {
	if n > maxString {
		c.refuse(at, pod.ReasonLimit, finding{
			"is too large for a program to be started with (E2BIG), with $(VAR) expanded",
			bytesOf(n), fmt.Sprintf("at most %d bytes", maxString)})
	}
	return n
}

// bytesOf prints a length; a saturated one is only known to be more.
func bytesOf(n int) string {
	if n >= hugeLength {
		return fmt.Sprintf("more than %d bytes", hugeLength)
	}
	return fmt.Sprintf("%d bytes", n)
}

func addLength(a, b int) int { return min(a+b, hugeLength) }

// envLength returns how long the value of a variable will be.
func (c *checker) envLength(v *corev1.EnvVar, lengths map[string]int) int {
	if v.ValueFrom == nil || v.Value != "" {
		return expandedLength(v.Value, lengths)
	}
	if v.ValueFrom.FieldRef == nil {
		return unknownField
	}
	switch parent, key, _ := subscript(v.ValueFrom.FieldRef.FieldPath); parent {
	case "metadata.labels":
		return len(c.pod.Labels[key])
	case "metadata.annotations":
		return len(c.pod.Annotations[key])
	default:
		return unknownField
	}
}

// expandedLength returns the length of s once $(NAME) is replaced where NAME
// is known and $$ stands for $, by the rules of Kubernetes.
func expandedLength(s string, lengths map[string]int) int {
	total := 0
	for {
		dollar := strings.IndexByte(s, '$')
		if dollar < 0 || dollar == len(s)-1 {
			return addLength(total, len(s))
		}
		total, s = addLength(total, dollar), s[dollar:]
		taken, length := expansion(s, lengths)
		total, s = addLength(total, length), s[taken:]
	}
}

// expansion looks at a text that starts with $ and has at least two bytes: how
// much of it belongs together, and how long that becomes.
func expansion(s string, lengths map[string]int) (taken, length int) {
	if s[1] != '(' {
		if s[1] == '$' {
			return 2, 1
		}
		return 2, 2
	}
	end := strings.IndexByte(s, ')')
	if end < 0 {
		return 2, 2
	}
	if n, known := lengths[s[2:end]]; known {
		return end + 1, n
	}
	return end + 1, end + 1
}
