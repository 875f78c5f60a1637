package validation

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

// nodeName is the one field of a node that terms may ask for.
const nodeName = "metadata.name"

// placement checks what decides on which servers a pod runs.
func (c *checker) placement(s *corev1.PodSpec, at *field.Path) {
	c.labels(s.NodeSelector, at.Child("nodeSelector"))
	c.nodeAffinity(s.Affinity, at.Child("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"))
	for i := range s.Tolerations {
		c.toleration(&s.Tolerations[i], at.Child("tolerations").Index(i))
	}
}

func (c *checker) nodeAffinity(a *corev1.Affinity, at *field.Path) {
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return
	}
	terms := a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	if len(terms) == 0 {
		c.refuse(at, pod.ReasonRequired, finding{message: "is required", want: "at least one term"})
	}
	for i := range terms {
		for j := range terms[i].MatchExpressions {
			c.nodeLabel(&terms[i].MatchExpressions[j], at.Index(i).Child("matchExpressions").Index(j))
		}
		for j := range terms[i].MatchFields {
			c.nodeField(&terms[i].MatchFields[j], at.Index(i).Child("matchFields").Index(j))
		}
	}
}

func (c *checker) nodeLabel(r *corev1.NodeSelectorRequirement, at *field.Path) {
	if c.label(r.Key, metav1.LabelSelectorOperator(r.Operator), r.Values, at) {
		return
	}
	values := at.Child("values")
	switch r.Operator {
	case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
		if len(r.Values) != 1 {
			c.refuse(values, pod.ReasonInvalid, finding{"has the wrong number of values", itoa(len(r.Values)), "one integer"})
		} else if _, err := strconv.ParseInt(r.Values[0], 10, 64); err != nil {
			c.refuse(values.Index(0), pod.ReasonInvalid, finding{"is no integer", quote(r.Values[0]), "an integer in quotes"})
		}
	default:
		c.nodeOperator(r.Operator, at.Child("operator"), corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn, corev1.NodeSelectorOpExists,
			corev1.NodeSelectorOpDoesNotExist, corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt)
	}
}

func (c *checker) nodeField(r *corev1.NodeSelectorRequirement, at *field.Path) {
	if r.Key != nodeName {
		c.refuse(at.Child("key"), pod.ReasonInvalid, finding{"is no field of a node that can be asked for", quote(r.Key), nodeName})
	}
	if len(r.Values) != 1 {
		c.refuse(at.Child("values"), pod.ReasonInvalid, finding{"has the wrong number of values", itoa(len(r.Values)), "the name of one node"})
	}
	if r.Operator != corev1.NodeSelectorOpIn && r.Operator != corev1.NodeSelectorOpNotIn {
		c.nodeOperator(r.Operator, at.Child("operator"), corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn)
	}
}

func (c *checker) nodeOperator(got corev1.NodeSelectorOperator, at *field.Path, allowed ...corev1.NodeSelectorOperator) {
	if got == "" {
		c.refuse(at, pod.ReasonRequired, finding{message: "is required", want: "an operator, such as In"})
	}
	oneOf(c, at, got, allowed...)
}

func (c *checker) toleration(t *corev1.Toleration, at *field.Path) {
	if t.Key != "" {
		c.refuseAll(at.Child("key"), pod.ReasonInvalidName, t.Key, validation.IsQualifiedName(t.Key))
	} else if t.Operator != corev1.TolerationOpExists {
		c.refuse(at.Child("operator"), pod.ReasonInvalid, finding{
			"does not go with an empty key, which stands for all", quote(string(t.Operator)), "Exists, or a key"})
	}
	oneOf(c, at.Child("operator"), t.Operator, corev1.TolerationOpEqual, corev1.TolerationOpExists)
	switch {
	case t.Operator == corev1.TolerationOpExists && t.Value != "":
		c.refuse(at.Child("value"), pod.ReasonInvalid, finding{"is not for the operator Exists", quote(t.Value), "the field left out"})
	default:
		c.refuseAll(at.Child("value"), pod.ReasonInvalid, t.Value, validation.IsValidLabelValue(t.Value))
	}
	oneOf(c, at.Child("effect"), t.Effect, corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute)
	if t.TolerationSeconds != nil && t.Effect != corev1.TaintEffectNoExecute {
		c.refuse(at.Child("tolerationSeconds"), pod.ReasonInvalid, finding{
			"is only for the effect NoExecute", itoa(*t.TolerationSeconds), "the field left out, or effect: NoExecute"})
	}
}
