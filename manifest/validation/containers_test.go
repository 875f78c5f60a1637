package validation_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func container(f func(k *corev1.Container)) change {
	return func(_ *corev1.Pod, k *corev1.Container) { f(k) }
}

func TestContainers(t *testing.T) {
	const otherName = "a name that no other container of the pod has, init containers included"
	lists := func(init, app, ephemeral string) change {
		return func(p *corev1.Pod, _ *corev1.Container) {
			p.Spec.InitContainers = []corev1.Container{{Name: init, Image: "a"}}
			p.Spec.Containers = []corev1.Container{{Name: app, Image: "a"}}
			p.Spec.EphemeralContainers = []corev1.EphemeralContainer{
				{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: ephemeral, Image: "a"}},
			}
		}
	}
	count := func(n int) change {
		return func(p *corev1.Pod, _ *corev1.Container) {
			p.Spec.Containers = nil
			for i := range n {
				p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: fmt.Sprintf("c%d", i), Image: "a"})
			}
		}
	}
	checkRules(t, []rule{
		{"none", count(0), []string{"spec.containers: required: is required (want at least one container)"}, count(1)},
		{"too many", count(1001),
			[]string{"spec.containers: limit: are too many, with init containers (got 1001, want at most 1000)"}, count(1000)},
		{"no name", container(func(k *corev1.Container) { k.Name = "" }),
			[]string{"spec.containers[0].name: required: is required (want a name)"}, unchanged},
		{"bad name", container(func(k *corev1.Container) { k.Name = "a.b" }),
			[]string{`spec.containers[0].name: invalid-name: must not contain dots (got "a.b")`}, unchanged},
		{"init has the name", lists("a", "a", "b"),
			[]string{`spec.containers[0].name: duplicate: is taken by spec.initContainers[0].name (got "a", want ` + otherName + `)`},
			lists("a", "b", "c")},
		{"ephemeral has the name", lists("a", "b", "b"),
			[]string{`spec.ephemeralContainers[0].name: duplicate: is taken by spec.containers[0].name (got "b", want ` + otherName + `)`},
			lists("a", "b", "c")},
		{"imagePullPolicy", container(func(k *corev1.Container) { k.ImagePullPolicy = "always" }),
			[]string{`spec.containers[0].imagePullPolicy: invalid: is not a known value (got "always", want Always, IfNotPresent or Never)`},
			container(func(k *corev1.Container) { k.ImagePullPolicy = "Always" })},
	})
}

func TestProcess(t *testing.T) {
	workingDir := func(s string) change { return container(func(k *corev1.Container) { k.WorkingDir = s }) }
	command := func(s string) change { return container(func(k *corev1.Container) { k.Command = []string{"sh", s} }) }
	args := func(s string) change { return container(func(k *corev1.Container) { k.Args = []string{s} }) }
	checkRules(t, []rule{
		{"NUL in command", command("a\x00b"),
			[]string{`spec.containers[0].command[1]: invalid: has a NUL byte (got "a\x00b", want text without NUL)`}, command("a\nb")},
		{"NUL in args", args("a\x00b"),
			[]string{`spec.containers[0].args[0]: invalid: has a NUL byte (got "a\x00b", want text without NUL)`}, args("")},
		{"relative workingDir", workingDir("srv"),
			[]string{`spec.containers[0].workingDir: invalid: is not absolute (got "srv", want an absolute path of at most 4095 bytes without .., such as /data)`},
			workingDir("/srv")},
		{"workingDir below /proc", workingDir("/proc/self/fd/8"),
			[]string{`spec.containers[0].workingDir: invalid: is a folder of the kernel (got "/proc/self/fd/8", want a path outside /proc and /dev)`},
			workingDir("/process")},
		{"workingDir below /dev", workingDir("/dev/fd/8"),
			[]string{`spec.containers[0].workingDir: invalid: is a folder of the kernel (got "/dev/fd/8", want a path outside /proc and /dev)`},
			workingDir("/devel")},
	})
}

func TestTerminationMessage(t *testing.T) {
	file := func(s string) change { return container(func(k *corev1.Container) { k.TerminationMessagePath = s }) }
	policy := func(s corev1.TerminationMessagePolicy) change {
		return container(func(k *corev1.Container) { k.TerminationMessagePolicy = s })
	}
	nowhere := func(s string) []string {
		return []string{`spec.containers[0].terminationMessagePath: invalid: is where no file can be put (got "` + s + `", want a file outside /proc and /sys, such as /dev/termination-log)`}
	}
	checkRules(t, []rule{
		{"policy", policy("Log"),
			[]string{`spec.containers[0].terminationMessagePolicy: invalid: is not a known value (got "Log", want File or FallbackToLogsOnError)`},
			policy("FallbackToLogsOnError")},
		{"relative", file("log"),
			[]string{`spec.containers[0].terminationMessagePath: invalid: is not absolute (got "log", want an absolute path of at most 4095 bytes without .., such as /data)`},
			file("/dev/termination-log")},
		{"root", file("/"), nowhere("/"), file("/tmp/log")},
		{"proc", file("/proc/1/x"), nowhere("/proc/1/x"), file("/proc1")},
		{"sys", file("/sys/x"), nowhere("/sys/x"), file("/sysx")},
	})
}

func TestInitContainersAndRestart(t *testing.T) {
	init := func(policy corev1.ContainerRestartPolicy) change {
		return func(p *corev1.Pod, _ *corev1.Container) {
			p.Spec.InitContainers = []corev1.Container{{Name: "init", Image: "a", RestartPolicy: &policy}}
		}
	}
	app := func(policy corev1.ContainerRestartPolicy, rules ...corev1.ContainerRestartRule) change {
		return container(func(k *corev1.Container) { k.RestartPolicy, k.RestartPolicyRules = &policy, rules })
	}
	rules := func(action corev1.ContainerRestartRuleAction, op corev1.ContainerRestartRuleOnExitCodesOperator, codes ...int32) change {
		return app("Never", corev1.ContainerRestartRule{
			Action: action, ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: op, Values: codes}})
	}
	many := make([]corev1.ContainerRestartRule, 21)
	for i := range many {
		many[i] = corev1.ContainerRestartRule{
			Action: "Restart", ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: "In", Values: []int32{1}}}
	}
	const at = "spec.containers[0].restartPolicyRules[0]"
	good := rules("Restart", "NotIn", 0, 255)
	checkRules(t, []rule{
		{"init restartPolicy", init("OnFailure"),
			[]string{`spec.initContainers[0].restartPolicy: invalid: is not a known value for an init container (got "OnFailure", want Always (a sidecar), or the field left out)`},
			init("Always")},
		{"app restartPolicy", app("Maybe"),
			[]string{`spec.containers[0].restartPolicy: invalid: is not a known value (got "Maybe", want Always, OnFailure or Never)`},
			app("OnFailure")},
		{"rules without policy", container(func(k *corev1.Container) { k.RestartPolicyRules = many[:1] }),
			[]string{"spec.containers[0].restartPolicy: required: is required beside restartPolicyRules (want what to do when no rule matches)"},
			app("Never", many[:1]...)},
		{"too many rules", app("Never", many...),
			[]string{"spec.containers[0].restartPolicyRules: limit: are too many (got 21, want at most 20)"}, app("Never", many[:20]...)},
		{"no action", rules("", "In", 1), []string{at + ".action: required: is required (want Restart)"}, good},
		{"action", rules("Stop", "In", 1), []string{at + `.action: invalid: is not a known value (got "Stop", want Restart)`}, good},
		{"no exitCodes", app("Never", corev1.ContainerRestartRule{Action: "Restart"}),
			[]string{at + ".exitCodes: required: is required (want an operator and values)"}, good},
		{"no operator", rules("Restart", "", 1), []string{at + ".exitCodes.operator: required: is required (want In or NotIn)"}, good},
		{"operator", rules("Restart", "Is", 1),
			[]string{at + `.exitCodes.operator: invalid: is not a known value (got "Is", want In or NotIn)`}, good},
		{"no values", rules("Restart", "In"),
			[]string{at + ".exitCodes.values: limit: has the wrong number of exit codes (got 0, want 1 to 255)"}, good},
		{"value", rules("Restart", "In", 256),
			[]string{at + ".exitCodes.values[0]: invalid: is out of range (got 256, want 0 to 255)"}, good},
		{"value twice", rules("Restart", "In", 1, 2, 1),
			[]string{at + ".exitCodes.values[2]: duplicate: is listed twice (got 1, want each exit code once)"}, good},
	})
}

func TestImage(t *testing.T) {
	image := func(s string) change { return container(func(k *corev1.Container) { k.Image = s }) }
	const form = "[REGISTRY[:PORT]/]NAME[:TAG][@DIGEST], such as nginx:1.27"
	hex := strings.Repeat("0123456789abcdef", 4)
	at := "spec.containers[0].image: invalid-image: "
	checkRules(t, []rule{
		{"missing", image(""), []string{at + "is required (want " + form + ")"}, image("nginx")},
		{"space", image("a b"), []string{at + `has a space or line break (got "a b", want ` + form + `)`}, image("a_b")},
		{"trailing newline", image("nginx\n"), []string{at + `has a space or line break (got "nginx\n", want ` + form + `)`}, image("nginx:latest")},
		{"capitals", image("Nginx:1.27"), []string{at + `has capital letters in its name (got "Nginx:1.27", want nginx in small letters)`}, image("nginx:RC1")},
		{"capitals behind a registry", image("ghcr.io/Me/App:1"),
			[]string{at + `has capital letters in its name (got "ghcr.io/Me/App:1", want ghcr.io/me/app in small letters)`}, image("Registry.example:5000/app:1")},
		{"short digest", image("nginx@sha256:" + hex[:63]),
			[]string{at + `has a digest of the wrong length (got "nginx@sha256:` + hex[:63] + `", want 64 hexadecimal digits after @sha256:)`},
			image("nginx:1.27@sha256:" + hex)},
		{"unknown digest", image("nginx@md5:" + hex[:32]),
			[]string{at + `has a digest of an unknown algorithm (got "nginx@md5:` + hex[:32] + `", want @sha256: or @sha512:)`},
			image("nginx@sha512:" + hex + hex)},
		{"garbled digest", image("nginx@sha256:xyz"),
			[]string{at + `has a name or digest that can't be read (got "nginx@sha256:xyz", want NAME@sha256: and 64 hexadecimal digits)`}, image("nginx@sha256:" + hex)},
		{"URL", image("https://ghcr.io/app"),
			[]string{at + `is a URL (got "https://ghcr.io/app", want the name without https://)`}, image("ghcr.io/app")},
		{"too long", image(strings.Repeat("a/", 127) + "aa"),
			[]string{at + `is too long (got "` + strings.Repeat("a/", 40) + `"... of 256 bytes, want a name of at most 255 characters)`}, image(strings.Repeat("a/", 100) + "a")},
		{"malformed", image("nginx:"), []string{at + `is no image name (got "nginx:", want ` + form + `)`}, image("localhost:5000/a/b")},
	})
}
