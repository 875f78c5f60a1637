package validation

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

// annotationBytes is Kubernetes' bound on all annotations of one object.
const annotationBytes = 256 << 10

func (c *checker) metadata(m *metav1.ObjectMeta, at *field.Path) {
	c.podName(m, at)
	if m.Namespace != "" {
		c.refuseAll(at.Child("namespace"), pod.ReasonInvalidName, m.Namespace, validation.IsDNS1123Label(m.Namespace))
	}
	c.labels(m.Labels, at.Child("labels"))
	c.annotations(m.Annotations, at.Child("annotations"))
	c.probeAnnotations(m.Annotations, at.Child("annotations"))
}

func (c *checker) podName(m *metav1.ObjectMeta, at *field.Path) {
	switch {
	case m.Name != "":
		c.refuseAll(at.Child("name"), pod.ReasonInvalidName, m.Name, validation.IsDNS1123Subdomain(m.Name))
	case m.GenerateName != "":
		c.refuse(at.Child("name"), pod.ReasonRequired, finding{
			"is required: generateName makes no name here, a manifest names one pod", "generateName " + quote(m.GenerateName), "a name"})
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
