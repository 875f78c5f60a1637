package validation

import (
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

func (c *checker) env(env []corev1.EnvVar, at *field.Path) {
	for i := range env {
		c.envVar(&env[i], at.Index(i))
	}
}

func (c *checker) envVar(v *corev1.EnvVar, at *field.Path) {
	if v.Name == "" {
		c.refuse(at.Child("name"), pod.ReasonRequired, finding{message: "is required", want: "a name"})
	} else {
		c.refuseAll(at.Child("name"), pod.ReasonInvalidName, v.Name, validation.IsRelaxedEnvVarName(v.Name))
	}
	c.noNUL(at.Child("value"), v.Value)
	if v.ValueFrom == nil {
		return
	}
	from := at.Child("valueFrom")
	if v.Value != "" {
		c.refuse(from, pod.ReasonInvalid, finding{"stands beside a value", "value and valueFrom", "one of the two"})
	}
	if set := setFields(*v.ValueFrom); len(set) != 1 {
		c.refuse(from, pod.ReasonInvalid, finding{"must name one source", countOf(set), "exactly one of fieldRef and resourceFieldRef"})
	}
	c.fieldRef(v.ValueFrom.FieldRef, from.Child("fieldRef"))
	c.resourceFieldRef(v.ValueFrom.ResourceFieldRef, from.Child("resourceFieldRef"))
}

// setFields returns the JSON names of the pointers that are set in a struct
// of alternatives, in the struct's order.
func setFields(alternatives any) []string {
	v := reflect.ValueOf(alternatives)
	var set []string
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Pointer && !f.IsNil() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			set = append(set, name)
		}
	}
	return set
}

func countOf(set []string) string {
	if len(set) == 0 {
		return "none"
	}
	return strings.Join(set, " and ")
}

// envFields returns the field paths that an environment variable may take.
func envFields() []string {
	return []string{
		"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
		"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
	}
}

const envFieldsWant = "metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY'], " +
	"spec.nodeName, spec.serviceAccountName, status.hostIP, status.hostIPs, status.podIP or status.podIPs"

func (c *checker) fieldRef(r *corev1.ObjectFieldSelector, at *field.Path) {
	if r == nil {
		return
	}
	oneOf(c, at.Child("apiVersion"), r.APIVersion, "v1")
	here := at.Child("fieldPath")
	if slices.Contains(envFields(), r.FieldPath) {
		return
	}
	parent, key, ok := subscript(r.FieldPath)
	switch {
	case r.FieldPath == "":
		c.refuse(here, pod.ReasonRequired, finding{message: "is required", want: envFieldsWant})
	case ok && parent == "metadata.labels":
		c.refuseAll(here, pod.ReasonInvalid, r.FieldPath, validation.IsQualifiedName(key))
	case ok && parent == "metadata.annotations":
		c.refuseAll(here, pod.ReasonInvalid, r.FieldPath, validation.IsQualifiedName(strings.ToLower(key)))
	default:
		c.refuse(here, pod.ReasonInvalid, finding{"is no field that a variable can take", quote(r.FieldPath), envFieldsWant})
	}
}

// subscript splits metadata.labels['KEY'] into metadata.labels and KEY.
func subscript(fieldPath string) (parent, key string, ok bool) {
	head, ok := strings.CutSuffix(fieldPath, "']")
	if !ok {
		return "", "", false
	}
	return strings.Cut(head, "['")
}

func (c *checker) resourceFieldRef(r *corev1.ResourceFieldSelector, at *field.Path) {
	if r == nil {
		return
	}
	if r.ContainerName != "" && pod.ContainerSpec(c.pod, r.ContainerName) == nil {
		c.refuse(at.Child("containerName"), pod.ReasonNoSuchReference, finding{
			"names no container of this pod", quote(r.ContainerName), "a container's name, or the field left out for the container itself"})
	}
	here := at.Child("resource")
	if r.Resource == "" {
		c.refuse(here, pod.ReasonRequired, finding{message: "is required", want: "limits.cpu, limits.memory, requests.cpu or requests.memory"})
	}
	oneOf(c, here, r.Resource, "limits.cpu", "limits.memory", "requests.cpu", "requests.memory")
	_, name, _ := strings.Cut(r.Resource, ".")
	c.divisor(at.Child("divisor"), name, r.Divisor)
}

// divisor allows the units that Kubernetes does; a zero one is an unset one.
func (c *checker) divisor(at *field.Path, resourceName string, divisor resource.Quantity) {
	var units []string
	switch resourceName {
	case "cpu":
		units = []string{"1m", "1"}
	case "memory":
		units = []string{"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"}
	default:
		return
	}
	if divisor.IsZero() || slices.Contains(units, divisor.String()) {
		return
	}
	c.refuse(at, pod.ReasonInvalidQuantity, finding{"is no unit of " + resourceName, quote(divisor.String()), anyOf(units)})
}
