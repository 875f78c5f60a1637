package validation

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

const (
	// maxCores is the most CPUs that a Linux kernel is built for.
	maxCores = 8192
	// maxBytes is the most memory that x86-64 can address, 4 PiB.
	maxBytes = 1 << 52
	// minLimitBytes is what runc and a program need at the least to start.
	minLimitBytes = 4 << 20
)

func (c *checker) resources(r *corev1.ResourceRequirements, at *field.Path) {
	c.resourceList(r.Requests, at.Child("requests"))
	c.resourceList(r.Limits, at.Child("limits"))
	c.lowestLimits(r.Limits, at.Child("limits"))
	for _, name := range sortedNames(r.Requests) {
		request, limit := r.Requests[name], r.Limits[name]
		if _, limited := r.Limits[name]; limited && request.Cmp(limit) > 0 {
			c.refuse(entry(at.Child("requests"), string(name)), pod.ReasonInvalid, finding{
				"is more than its limit", request.String(), "at most " + limit.String()})
		}
	}
}

func sortedNames(list corev1.ResourceList) []corev1.ResourceName {
	return slices.Sorted(maps.Keys(list))
}

func (c *checker) resourceList(list corev1.ResourceList, at *field.Path) {
	for _, name := range sortedNames(list) {
		here, q := entry(at, string(name)), list[name]
		switch name {
		case corev1.ResourceCPU:
			c.cpu(here, q)
		case corev1.ResourceMemory:
			c.bytes(here, q)
		default:
			c.otherResource(here, name, q)
		}
	}
}

// otherResource: what podstead can't hold a container to is refused, so that
// nobody believes in it.
func (c *checker) otherResource(at *field.Path, name corev1.ResourceName, q resource.Quantity) {
	message := "is no resource of this server: podstead has no device plug-ins and no huge pages"
	if name == corev1.ResourceEphemeralStorage {
		message = "can't be enforced: podstead does not limit the disk that containers use; emptyDir has sizeLimit"
	}
	c.refuse(at, pod.ReasonUnsupportedField, finding{message, q.String(), "cpu or memory"})
}

func (c *checker) cpu(at *field.Path, q resource.Quantity) {
	if c.negative(at, q) {
		return
	}
	if q.CmpInt64(maxCores) > 0 {
		c.refuse(at, pod.ReasonInvalidQuantity, finding{
			"is more cores than a server can have: m means thousandths, M means millions", q.String(), "at most 8192, such as 100m for a tenth of a core"})
	}
}

// bytes checks a quantity of memory or disk.
func (c *checker) bytes(at *field.Path, q resource.Quantity) {
	if c.negative(at, q) {
		return
	}
	switch {
	case q.CmpInt64(maxBytes) > 0:
		c.refuse(at, pod.ReasonInvalidQuantity, finding{"is more than a server can have", q.String(), "at most 4Pi"})
	case q.MilliValue()%1000 != 0:
		c.refuse(at, pod.ReasonInvalidQuantity, finding{
			"is a fraction of a byte: m means thousandths, M and Mi mean millions", q.String(), "whole bytes, such as 64Mi"})
	}
}

func (c *checker) negative(at *field.Path, q resource.Quantity) bool {
	if q.Sign() < 0 {
		c.refuse(at, pod.ReasonInvalidQuantity, finding{"is negative", q.String(), "0 or more"})
		return true
	}
	return false
}

// lowestLimits refuses limits under which nothing runs, and 0, which the
// kubelet silently takes for "no limit".
func (c *checker) lowestLimits(limits corev1.ResourceList, at *field.Path) {
	if q, ok := limits[corev1.ResourceCPU]; ok && q.IsZero() {
		c.refuse(at.Key("cpu"), pod.ReasonInvalidQuantity, finding{
			"is zero", q.String(), "more than 0, or the limit left out for no limit"})
	}
	q, ok := limits[corev1.ResourceMemory]
	if ok && q.Sign() >= 0 && q.CmpInt64(minLimitBytes) < 0 && q.MilliValue()%1000 == 0 {
		c.refuse(at.Key("memory"), pod.ReasonInvalidQuantity, finding{
			"is too small for a container to start: a number without a unit is bytes", q.String(), "at least 4Mi, or the limit left out for no limit"})
	}
}
