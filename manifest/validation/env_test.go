package validation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/manifest/validation"
)

func env(vars ...corev1.EnvVar) change {
	return container(func(k *corev1.Container) { k.Env = vars })
}

func TestEnv(t *testing.T) {
	from := func(s corev1.EnvVarSource) change { return env(corev1.EnvVar{Name: "A", ValueFrom: &s}) }
	ref := func(fieldPath string) change {
		return from(corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: fieldPath}})
	}
	res := func(name, container, divisor string) change {
		r := &corev1.ResourceFieldSelector{Resource: name, ContainerName: container}
		if divisor != "" {
			r.Divisor = resource.MustParse(divisor)
		}
		return from(corev1.EnvVarSource{ResourceFieldRef: r})
	}
	name := func(s string) change { return env(corev1.EnvVar{Name: s}) }
	const at = "spec.containers[0].env[0]"
	const fields = "metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY'], spec.nodeName, spec.serviceAccountName, status.hostIP, status.hostIPs, status.podIP or status.podIPs"
	const amounts = "limits.cpu, limits.memory, requests.cpu or requests.memory"
	fieldRef := &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}
	checkRules(t, []rule{
		{"no name", name(""), []string{at + ".name: required: is required (want a name)"}, name("a.b-c d")},
		{"name with =", name("A=B"),
			[]string{at + `.name: invalid-name: a valid environment variable name must consist only of printable ASCII characters other than '=' (got "A=B")`}, name("A_B")},
		{"NUL", env(corev1.EnvVar{Name: "A", Value: "\x00"}),
			[]string{at + `.value: invalid: has a NUL byte (got "\x00", want text without NUL)`}, env(corev1.EnvVar{Name: "A", Value: "$(A)"})},
		{"value and valueFrom", env(corev1.EnvVar{Name: "A", Value: "x", ValueFrom: &corev1.EnvVarSource{FieldRef: fieldRef}}),
			[]string{at + ".valueFrom: invalid: stands beside a value (got value and valueFrom, want one of the two)"},
			from(corev1.EnvVarSource{FieldRef: fieldRef})},
		{"no source", from(corev1.EnvVarSource{}),
			[]string{at + ".valueFrom: invalid: must name one source (got none, want exactly one of fieldRef and resourceFieldRef)"}, ref("metadata.name")},
		{"two sources", from(corev1.EnvVarSource{FieldRef: fieldRef, ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}),
			[]string{at + ".valueFrom: invalid: must name one source (got fieldRef and resourceFieldRef, want exactly one of fieldRef and resourceFieldRef)"}, ref("status.podIPs")},
		{"fieldRef version", from(corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v2", FieldPath: "metadata.name"}}),
			[]string{at + `.valueFrom.fieldRef.apiVersion: invalid: is not a known value (got "v2", want v1)`}, ref("spec.nodeName")},
		{"no fieldPath", ref(""), []string{at + ".valueFrom.fieldRef.fieldPath: required: is required (want " + fields + ")"}, ref("status.hostIP")},
		{"unknown fieldPath", ref("spec.hostname"),
			[]string{at + `.valueFrom.fieldRef.fieldPath: invalid: is no field that a variable can take (got "spec.hostname", want ` + fields + ")"}, ref("metadata.uid")},
		{"all labels", ref("metadata.labels"),
			[]string{at + `.valueFrom.fieldRef.fieldPath: invalid: is no field that a variable can take (got "metadata.labels", want ` + fields + ")"}, ref("metadata.labels['app']")},
		{"unclosed label", ref("metadata.labels['app'"),
			[]string{at + `.valueFrom.fieldRef.fieldPath: invalid: is no field that a variable can take (got "metadata.labels['app'", want ` + fields + ")"}, ref("metadata.labels['app']")},
		{"label key", ref("metadata.labels['a b']"),
			[]string{at + `.valueFrom.fieldRef.fieldPath: invalid: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') (got "metadata.labels['a b']")`}, ref("metadata.labels['example.com/app']")},
		{"annotation key", ref("metadata.annotations['']"),
			[]string{
				at + `.valueFrom.fieldRef.fieldPath: invalid: name part must be non-empty (got "metadata.annotations['']")`,
				at + `.valueFrom.fieldRef.fieldPath: invalid: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') (got "metadata.annotations['']")`},
			ref("metadata.annotations['Example.com/app']")},
		{"no resource", res("", "", ""), []string{at + ".valueFrom.resourceFieldRef.resource: required: is required (want " + amounts + ")"}, res("limits.cpu", "", "")},
		{"unknown resource", res("limits.gpu", "", ""),
			[]string{at + `.valueFrom.resourceFieldRef.resource: invalid: is not a known value (got "limits.gpu", want ` + amounts + ")"}, res("requests.memory", "", "")},
		{"unknown container", res("limits.cpu", "other", ""),
			[]string{at + `.valueFrom.resourceFieldRef.containerName: no-such-ref: names no container of this pod (got "other", want a container's name, or the field left out for the container itself)`}, res("limits.cpu", "app", "")},
		{"cpu divisor", res("limits.cpu", "", "10m"),
			[]string{at + `.valueFrom.resourceFieldRef.divisor: invalid-quantity: is no unit of cpu (got "10m", want 1m or 1)`}, res("limits.cpu", "", "1m")},
		{"memory divisor", res("limits.memory", "", "2Mi"),
			[]string{at + `.valueFrom.resourceFieldRef.divisor: invalid-quantity: is no unit of memory (got "2Mi", want 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi or 1Ei)`}, res("requests.memory", "", "1Mi")},
	})
}

// Lengths below count NAME=value or the word itself.
func TestStartSize(t *testing.T) {
	const k = 128 << 10
	x := strings.Repeat
	one := func(at string, n int) string {
		return fmt.Sprintf("%s: limit: is too large for a program to be started with (E2BIG), with $(VAR) expanded (got %d bytes, want at most 131071 bytes)", at, n)
	}
	all := func(n string) string {
		return "spec.containers[0]: limit: is too large to be started (E2BIG): command, args and env together, with $(VAR) expanded (got " + n + ", want at most 1048576 bytes)"
	}
	words := func(ofCommand bool, words ...string) change {
		return container(func(c *corev1.Container) {
			c.Env = []corev1.EnvVar{{Name: "V", Value: x("x", 100)}}
			if c.Args = words; ofCommand {
				c.Command, c.Args = words, nil
			}
		})
	}
	full := func(last int) change {
		return container(func(c *corev1.Container) {
			for range 8 {
				c.Args = append(c.Args, x("x", k-1))
			}
			c.Args = append(c.Args, x("x", last))
		})
	}
	label := func(n int) change {
		return func(p *corev1.Pod, c *corev1.Container) {
			p.Annotations = map[string]string{"a": x("x", n)}
			c.Env = []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{
				FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations['a']"}}}}
		}
	}
	checkRules(t, []rule{
		{"env of 2 MiB", env(corev1.EnvVar{Name: "A", Value: x("x", 2<<20)}),
			[]string{one("spec.containers[0].env[0]", 2<<20+2), all("2097154 bytes")},
			env(corev1.EnvVar{Name: "A", Value: x("x", k-3)})},
		{"one byte too many in env", env(corev1.EnvVar{Name: "A", Value: x("x", k-2)}),
			[]string{one("spec.containers[0].env[0]", k)}, env(corev1.EnvVar{Name: "A", Value: x("x", k-3)})},
		{"command", words(true, x("x", k)), []string{one("spec.containers[0].command[0]", k)}, words(true, x("x", k-1))},
		{"args", words(false, "", x("x", k)), []string{one("spec.containers[0].args[1]", k)}, words(false, "", x("x", k-1))},
		{"expanded", words(false, x("$(V)", 1311)), []string{one("spec.containers[0].args[0]", 131100)}, words(false, x("$(V)", 1310))},
		{"escaped", words(false, x("$$(V)", 32768)), []string{one("spec.containers[0].args[0]", k)}, words(false, x("$$(V)", 32767))},
		{"unknown variable stays", words(false, x("$(W)", 32768)), []string{one("spec.containers[0].args[0]", k)}, words(false, x("$(W)", 32767))},
		{"single dollars stay", words(false, x("$x", k/2)), []string{one("spec.containers[0].args[0]", k)}, words(false, x("$x", k/2-1)+"$")},
		{"unclosed reference stays", words(false, "$("+x("x", k-2)), []string{one("spec.containers[0].args[0]", k)}, words(false, "$("+x("x", k-3))},
		{"annotation", label(k - 2), []string{one("spec.containers[0].env[0]", k)}, label(k - 3)},
		{"all together", full(9), []string{all("1048577 bytes")}, full(8)},
	})
}

func TestDoublingVariablesAreRefusedWithoutExpandingThem(t *testing.T) {
	vars := []corev1.EnvVar{{Name: "A0", Value: "0123456789"}}
	for i := 1; i < 60; i++ {
		half := fmt.Sprintf("$(A%d)", i-1)
		vars = append(vars, corev1.EnvVar{Name: fmt.Sprintf("A%d", i), Value: half + half})
	}
	start := time.Now()
	errs := validation.Pod(changed(env(vars...)))
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
	last := errs[len(errs)-1].String()
	if !strings.Contains(last, "spec.containers[0]: limit: ") || !strings.Contains(last, "got more than 1099511627776 bytes") {
		t.Errorf("last error is %q", last)
	}
}
