package validation

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

// selector checks which pods a workload takes for its own: some, and those of
// its template among them.
func (c *checker) selector(s *metav1.LabelSelector, t *corev1.PodTemplateSpec, spec *field.Path) {
	at := spec.Child("selector")
	if s == nil || len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		c.refuse(at, pod.ReasonRequired, finding{message: "is required", want: "matchLabels that the labels of the template have"})
		return
	}
	before := len(c.errs)
	c.labels(s.MatchLabels, at.Child("matchLabels"))
	for i := range s.MatchExpressions {
		c.requirement(&s.MatchExpressions[i], at.Child("matchExpressions").Index(i))
	}
	if len(c.errs) > before {
		return
	}
	c.selects(s, t, spec)
}

// selects names each part of the selector that the template's labels lack.
func (c *checker) selects(s *metav1.LabelSelector, t *corev1.PodTemplateSpec, spec *field.Path) {
	want := "the label of the template, or this label in spec.template.metadata.labels"
	for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		value, has := t.Labels[key]
		if has && value == s.MatchLabels[key] {
			continue
		}
		message := "does not match the template, which has no such label"
		if has {
			message = "does not match the template, where it is " + quote(value)
		}
		c.refuse(entry(spec.Child("selector", "matchLabels"), key), pod.ReasonInvalid, finding{message, quote(s.MatchLabels[key]), want})
	}
	for i, r := range s.MatchExpressions {
		one, err := metav1.LabelSelectorAsSelector(&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{r}})
		if err != nil || one.Matches(labels.Set(t.Labels)) {
			continue // what can't be a selector is reported already
		}
		c.refuse(spec.Child("selector", "matchExpressions").Index(i), pod.ReasonInvalid, finding{
			"does not match the labels of the template", one.String(), "an expression that they match"})
	}
}

func (c *checker) requirement(r *metav1.LabelSelectorRequirement, at *field.Path) {
	if !c.label(r.Key, r.Operator, r.Values, at) {
		if r.Operator == "" {
			c.refuse(at.Child("operator"), pod.ReasonRequired, finding{message: "is required", want: "In, NotIn, Exists or DoesNotExist"})
		}
		oneOf(c, at.Child("operator"), r.Operator, metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn,
			metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist)
	}
	for i, v := range r.Values {
		c.refuseAll(at.Child("values").Index(i), pod.ReasonInvalid, v, validation.IsValidLabelValue(v))
	}
}

// label checks the key of a requirement, and that the number of values fits the
// operator. It tells whether that is one that every kind of requirement has.
func (c *checker) label(key string, operator metav1.LabelSelectorOperator, values []string, at *field.Path) bool {
	if key == "" {
		c.refuse(at.Child("key"), pod.ReasonRequired, finding{message: "is required", want: "the key of a label"})
	} else {
		c.refuseAll(at.Child("key"), pod.ReasonInvalidName, key, validation.IsQualifiedName(key))
	}
	switch operator {
	case metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn:
		if len(values) == 0 {
			c.refuse(at.Child("values"), pod.ReasonRequired, finding{message: "is required with " + string(operator), want: "at least one value"})
		}
	case metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist:
		if len(values) > 0 {
			c.refuse(at.Child("values"), pod.ReasonInvalid, finding{message: "is not for " + string(operator), want: "the field left out"})
		}
	default:
		return false
	}
	return true
}
