package validation_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/manifest/validation"
)

func TestMetadata(t *testing.T) {
	const subdomain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
	name := func(s string) change { return func(p *corev1.Pod, _ *corev1.Container) { p.Name = s } }
	checkRules(t, []rule{
		{"name missing", name(""), []string{"metadata.name: required: is required (want a name)"}, name("a")},
		{"generateName only", func(p *corev1.Pod, _ *corev1.Container) { p.Name, p.GenerateName = "", "web-" },
			[]string{`metadata.name: required: is required: generateName makes no name here, a manifest names one object (got generateName "web-", want a name)`},
			func(p *corev1.Pod, _ *corev1.Container) { p.GenerateName = "web-" }},
		{"name too long", name(strings.Repeat("a", 254)),
			[]string{`metadata.name: invalid-name: must be no more than 253 characters (got "` + strings.Repeat("a", 80) + `"... of 254 bytes)`},
			name(strings.Repeat("a", 253))},
		{"name uppercase", name("Web"), []string{"metadata.name: invalid-name: " + subdomain + ` (got "Web")`}, name("web.v2")},
		{"name traversal", name("../../etc"), []string{"metadata.name: invalid-name: " + subdomain + ` (got "../../etc")`}, unchanged},
		{"name newline", name("a\nb"), []string{"metadata.name: invalid-name: " + subdomain + ` (got "a\nb")`}, unchanged},
		{"name emoji", name("🐳"), []string{"metadata.name: invalid-name: " + subdomain + ` (got "🐳")`}, unchanged},
		{"namespace", func(p *corev1.Pod, _ *corev1.Container) { p.Namespace = "a.b" },
			[]string{`metadata.namespace: invalid-name: must not contain dots (got "a.b")`},
			func(p *corev1.Pod, _ *corev1.Container) { p.Namespace = "a-b" }},
		{"label key", func(p *corev1.Pod, _ *corev1.Container) { p.Labels = map[string]string{"a b": ""} },
			[]string{`metadata.labels[a b]: invalid-name: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') (got "a b")`},
			func(p *corev1.Pod, _ *corev1.Container) {
				p.Labels = map[string]string{"app.kubernetes.io/name": "x_1"}
			}},
		{"label value", func(p *corev1.Pod, _ *corev1.Container) {
			p.Labels = map[string]string{"app": strings.Repeat("x", 64)}
		},
			[]string{`metadata.labels[app]: invalid: must be no more than 63 bytes (got "` + strings.Repeat("x", 64) + `")`},
			func(p *corev1.Pod, _ *corev1.Container) {
				p.Labels = map[string]string{"app": strings.Repeat("x", 63)}
			}},
		{"annotation key", func(p *corev1.Pod, _ *corev1.Container) { p.Annotations = map[string]string{"\x1b[2J/x": ""} },
			[]string{`metadata.annotations["\x1b[2J/x"]: invalid-name: prefix part ` + subdomain + ` (got "\x1b[2J/x")`},
			func(p *corev1.Pod, _ *corev1.Container) {
				p.Annotations = map[string]string{"Example.com/Key": "any value\n"}
			}},
		{"annotations size", func(p *corev1.Pod, _ *corev1.Container) {
			p.Annotations = map[string]string{"a": strings.Repeat("x", 256<<10)}
		},
			[]string{"metadata.annotations: limit: are too large together (got 262145 bytes, want at most 262144 bytes)"},
			func(p *corev1.Pod, _ *corev1.Container) {
				p.Annotations = map[string]string{"a": strings.Repeat("x", 256<<10-1)}
			}},
	})
}

func TestMapsAreReportedInOrder(t *testing.T) {
	p := changed(func(p *corev1.Pod, _ *corev1.Container) {
		p.Labels = map[string]string{}
		for _, c := range "hgfedcba" {
			p.Labels[string(c)] = "-"
		}
	})
	fields := ""
	for _, line := range lines(validation.Pod(p)) {
		fields += strings.TrimPrefix(line, "metadata.labels")[:3]
	}
	if want := "[a][b][c][d][e][f][g][h]"; fields != want {
		t.Errorf("order of labels is %s, want %s", fields, want)
	}
}
