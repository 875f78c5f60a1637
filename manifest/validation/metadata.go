package validation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

// annotationBytes is Kubernetes' bound on all annotations of one object.
const annotationBytes = 256 << 10

// metadata checks what holds for objects of every kind.
func (c *checker) metadata(m *metav1.ObjectMeta, at *field.Path) {
	c.objectName(m, at, validation.IsDNS1123Subdomain)
	c.surroundings(m, at)
}

// surroundings checks metadata but for the name.
func (c *checker) surroundings(m *metav1.ObjectMeta, at *field.Path) {
	if m.Namespace != "" {
		c.refuseAll(at.Child("namespace"), pod.ReasonInvalidName, m.Namespace, validation.IsDNS1123Label(m.Namespace))
	}
	c.labels(m.Labels, at.Child("labels"))
	c.annotations(m.Annotations, at.Child("annotations"))
}

func (c *checker) objectName(m *metav1.ObjectMeta, at *field.Path, faults func(string) []string) {
	switch {
	case m.Name != "":
		c.refuseAll(at.Child("name"), pod.ReasonInvalidName, m.Name, faults(m.Name))
	case m.GenerateName != "":
		c.refuse(at.Child("name"), pod.ReasonRequired, finding{
			"is required: generateName makes no name here, a manifest names one object", "generateName " + quote(m.GenerateName), "a name"})
	default:
		c.refuse(at.Child("name"), pod.ReasonRequired, finding{message: "is required", want: "a name"})
	}
}

func (c *checker) labels(labels map[string]string, at *field.Path) {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		c.refuseAll(entry(at, key), pod.ReasonInvalidName, key, validation.IsQualifiedName(key))
		c.refuseAll(entry(at, key), pod.ReasonInvalid, labels[key], validation.IsValidLabelValue(labels[key]))
	}
}

func (c *checker) annotations(annotations map[string]string, at *field.Path) {
	total := 0
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		// Kubernetes looks at annotation keys regardless of case.
		c.refuseAll(entry(at, key), pod.ReasonInvalidName, key, validation.IsQualifiedName(strings.ToLower(key)))
		total += len(key) + len(annotations[key])
	}
	if total > annotationBytes {
		c.refuse(at, pod.ReasonLimit, finding{
			"are too large together", fmt.Sprintf("%d bytes", total), fmt.Sprintf("at most %d bytes", annotationBytes)})
	}
}

// ownAnnotations checks the annotations that only podstead gives a meaning,
// but for those of probes of a pod. Any other than those in known is a slip,
// or stands in the wrong place.
func (c *checker) ownAnnotations(annotations map[string]string, at *field.Path, known []string) {
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		_, _, ofProbe := pod.SplitProbeAnnotation(key)
		here := entry(at, key)
		switch {
		case !pod.IsOwnAnnotation(key), ofProbe && c.pod != nil:
		case slices.Contains(known, key):
			c.rolloutAnnotation(key, annotations[key], here)
		case ofProbe:
			c.warn(here, pod.ReasonIgnoredField, finding{"has no effect here", quote(annotations[key]), "it in the metadata of a Pod or of a template"})
		case slices.Contains(rolloutAnnotations(), key):
			c.warn(here, pod.ReasonIgnoredField, finding{"has no effect here", quote(annotations[key]), "it in the metadata of a Deployment or DaemonSet"})
		default:
			c.warn(here, pod.ReasonIgnoredField, finding{"is no annotation that this version knows", quote(annotations[key]), anyOf(known)})
		}
	}
}

func rolloutAnnotations() []string {
	return []string{pod.AutoRollbackAnnotation, pod.WatchSecondsAnnotation, pod.UpdateOrderAnnotation}
}

func (c *checker) rolloutAnnotation(key, value string, at *field.Path) {
	if pod.ValidRolloutAnnotation(key, value) {
		return
	}
	want := `"true" or "false"`
	switch key {
	case pod.UpdateOrderAnnotation:
		want = fmt.Sprintf("%q or %q", pod.StartFirst, pod.StopFirst)
	case pod.WatchSecondsAnnotation:
		want = fmt.Sprintf("a number of seconds in quotes, 0 to %d", pod.MaxWatchWindow/time.Second)
	}
	c.refuse(at, pod.ReasonInvalid, finding{"is not a known value", quote(value), want})
}
