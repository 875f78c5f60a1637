package validation

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

// Kubernetes' bounds on restart rules.
const (
	maxRestartRules = 20
	maxExitCodes    = 255
)

// initRestart: an init container either runs to its end or is a sidecar.
func (c *checker) initRestart(k *corev1.Container, at *field.Path) {
	if k.RestartPolicy != nil && *k.RestartPolicy != corev1.ContainerRestartPolicyAlways {
		c.refuse(at.Child("restartPolicy"), pod.ReasonInvalid, finding{
			"is not a known value for an init container", quote(string(*k.RestartPolicy)), "Always (a sidecar), or the field left out"})
	}
	c.restartRules(k, at)
}

func (c *checker) appRestart(k *corev1.Container, at *field.Path) {
	if k.RestartPolicy != nil {
		oneOf(c, at.Child("restartPolicy"), *k.RestartPolicy, corev1.ContainerRestartPolicyAlways,
			corev1.ContainerRestartPolicyOnFailure, corev1.ContainerRestartPolicyNever)
	}
	c.restartRules(k, at)
}

func (c *checker) restartRules(k *corev1.Container, at *field.Path) {
	rules, here := k.RestartPolicyRules, at.Child("restartPolicyRules")
	if len(rules) > 0 && k.RestartPolicy == nil {
		c.refuse(at.Child("restartPolicy"), pod.ReasonRequired, finding{
			message: "is required beside restartPolicyRules", want: "what to do when no rule matches"})
	}
	if len(rules) > maxRestartRules {
		c.refuse(here, pod.ReasonLimit, finding{"are too many", itoa(len(rules)), fmt.Sprintf("at most %d", maxRestartRules)})
	}
	for i := range rules {
		c.restartRule(&rules[i], here.Index(i))
	}
}

func (c *checker) restartRule(r *corev1.ContainerRestartRule, at *field.Path) {
	if r.Action == "" {
		c.refuse(at.Child("action"), pod.ReasonRequired, finding{message: "is required", want: "Restart"})
	}
	oneOf(c, at.Child("action"), r.Action, corev1.ContainerRestartRuleActionRestart)
	codes := at.Child("exitCodes")
	if r.ExitCodes == nil {
		c.refuse(codes, pod.ReasonRequired, finding{message: "is required", want: "an operator and values"})
		return
	}
	if r.ExitCodes.Operator == "" {
		c.refuse(codes.Child("operator"), pod.ReasonRequired, finding{message: "is required", want: "In or NotIn"})
	}
	oneOf(c, codes.Child("operator"), r.ExitCodes.Operator,
		corev1.ContainerRestartRuleOnExitCodesOpIn, corev1.ContainerRestartRuleOnExitCodesOpNotIn)
	c.exitCodes(r.ExitCodes.Values, codes.Child("values"))
}

func (c *checker) exitCodes(values []int32, at *field.Path) {
	if n := len(values); n < 1 || n > maxExitCodes {
		c.refuse(at, pod.ReasonLimit, finding{"has the wrong number of exit codes", itoa(n), fmt.Sprintf("1 to %d", maxExitCodes)})
	}
	for i, v := range values {
		c.inRange(at.Index(i), pod.ReasonInvalid, int64(v), 0, 255)
		if slices.Contains(values[:i], v) {
			c.refuse(at.Index(i), pod.ReasonDuplicate, finding{"is listed twice", itoa(v), "each exit code once"})
		}
	}
}
