package spec_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/runtime/spec"
)

func user(uid, gid uint32, groups ...uint32) specs.User {
	return specs.User{UID: uid, GID: gid, AdditionalGids: groups}
}

func TestUserOfImage(t *testing.T) {
	for image, want := range map[string]specs.User{
		"":               user(0, 0, 0),
		"root":           user(0, 0, 0),
		"root:0":         user(0, 0, 0),
		"app":            user(1000, 1001, 4, 50, 1001),
		"app:adm":        user(1000, 4, 4, 50),
		"1000":           user(1000, 1001, 4, 50, 1001),
		"1000:adm":       user(1000, 4, 4, 50),
		"1000:77":        user(1000, 77, 4, 50, 77),
		"4242":           user(4242, 0, 0),
		"4242:77":        user(4242, 77, 77),
		"2147483647":     user(2147483647, 0, 0),
		"01000":          user(1000, 1001, 4, 50, 1001),
		"4242:000000004": user(4242, 4, 4),
	} {
		t.Run(image, func(t *testing.T) {
			in := input(webPod())
			in.Image.User = image
			if diff := cmp.Diff(want, build(t, in).Process.User); diff != "" {
				t.Errorf("user (-want +got):\n%s", diff)
			}
		})
	}
}

// A user that can't be told is refused; becoming root by accident is the
// history of CVE-2024-40635 and its kin.
func TestUserOfImageRefused(t *testing.T) {
	for _, image := range []string{
		"2147483648", "4294967296", "99999999999999999999", "0x0", "-1", "1000:-1", "1000:4294967296",
		"nobody", "app:nogroup", " root", "garbled", "wrapped", "app:garbled", "1e3", "+", "app\x00",
	} {
		t.Run(image, func(t *testing.T) {
			in := input(webPod())
			in.Image.User = image
			wantRefused(t, in, "CreateContainerError", "config.User", "nginx:1.27")
		})
	}
}

func TestUserFilesAreBounded(t *testing.T) {
	bigPasswd := []byte(passwd + strings.Repeat("x:x:5:5::/:/bin/sh\n", spec.MaxUserFile/16))
	bigGroup := []byte(group + strings.Repeat("x:x:5:\n", spec.MaxUserFile/6))
	long := []byte("app:x:1000:1000:" + strings.Repeat("g", 200<<10) + ":/:/bin/sh\n")
	for name, c := range map[string]struct {
		change func(*spec.Input)
		want   string
	}{
		"huge passwd":        {func(in *spec.Input) { in.Passwd = bigPasswd }, "larger than 1048576 bytes"},
		"huge group":         {func(in *spec.Input) { in.Group = bigGroup }, "larger than 1048576 bytes"},
		"line without end":   {func(in *spec.Input) { in.Passwd = long }, "too long"},
		"too many groups":    {func(in *spec.Input) { in.Group = manyGroups(70_000) }, "at most 65536"},
		"passwd of one byte": {func(in *spec.Input) { in.Passwd = []byte{0} }, "app"},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(webPod())
			in.Image.User = "app"
			c.change(&in)
			wantRefused(t, in, "CreateContainerError", c.want)
		})
	}
}

// manyGroups has n groups with app in each, in less than MaxUserFile bytes.
func manyGroups(n int) []byte {
	var b strings.Builder
	for i := range n {
		b.WriteString("a::")
		b.WriteString(strconv.Itoa(i))
		b.WriteString(":app\n")
	}
	return []byte(b.String())
}

func TestUserOfPod(t *testing.T) {
	strict := new(corev1.SupplementalGroupsPolicyStrict)
	for name, c := range map[string]struct {
		image string
		pod   corev1.PodSecurityContext
		own   corev1.SecurityContext
		want  specs.User
	}{
		"user over the image's user and group": {image: "app:adm", own: corev1.SecurityContext{RunAsUser: new(int64(4242))}, want: user(4242, 0, 0)},
		"user with an entry takes its group":   {own: corev1.SecurityContext{RunAsUser: new(int64(1000))}, want: user(1000, 1001, 4, 50, 1001)},
		"group over the image's":               {image: "app:adm", own: corev1.SecurityContext{RunAsGroup: new(int64(77))}, want: user(1000, 77, 4, 50, 77)},
		"group alone goes with root":           {own: corev1.SecurityContext{RunAsGroup: new(int64(77))}, want: user(0, 77, 77)},
		"the container over the pod": {
			pod: corev1.PodSecurityContext{RunAsUser: new(int64(5)), RunAsGroup: new(int64(6))},
			own: corev1.SecurityContext{RunAsUser: new(int64(7))}, want: user(7, 6, 6)},
		"root by number": {image: "app", own: corev1.SecurityContext{RunAsUser: new(int64(0))}, want: user(0, 0, 0)},
		"fsGroup and supplementalGroups join": {image: "app",
			pod:  corev1.PodSecurityContext{FSGroup: new(int64(9)), SupplementalGroups: []int64{8, 9}},
			want: user(1000, 1001, 4, 8, 9, 50, 1001)},
		"Strict leaves the image's memberships out": {image: "app",
			pod:  corev1.PodSecurityContext{SupplementalGroups: []int64{8}, SupplementalGroupsPolicy: strict},
			want: user(1000, 1001, 8, 1001)},
	} {
		t.Run(name, func(t *testing.T) {
			p := webPod()
			p.Spec.SecurityContext, app(p).SecurityContext = &c.pod, &c.own
			in := input(p)
			in.Image.User = c.image
			if diff := cmp.Diff(c.want, build(t, in).Process.User); diff != "" {
				t.Errorf("user (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRunAsNonRoot(t *testing.T) {
	const config = "CreateContainerConfigError"
	for name, c := range map[string]struct {
		image string
		user  *int64
		want  string
	}{
		"image without a user": {"", nil, "container has runAsNonRoot and image will run as root"},
		"image with root":      {"0", nil, "container has runAsNonRoot and image will run as root"},
		"image with root:0":    {"0:1000", nil, "container has runAsNonRoot and image will run as root"},
		"image with a name":    {"app", nil, `container has runAsNonRoot and image has non-numeric user ("app"), cannot verify user is non-root`},
		"image with 0x0":       {"0x0", nil, "non-numeric user"},
		"pod with root":        {"1000", new(int64(0)), "container's runAsUser breaks non-root policy"},
		"image with a number":  {"1000", nil, ""},
		"pod with a number":    {"root", new(int64(1)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := webPod()
			podSecurity(p).RunAsNonRoot = new(true)
			security(p).RunAsUser = c.user
			in := input(p)
			in.Image.User = c.image
			if c.want == "" {
				build(t, in)
				return
			}
			wantRefused(t, in, config, c.want, "spec.containers[0].securityContext.runAs")
		})
	}
}

func TestRunAsNonRootOfContainerWins(t *testing.T) {
	p := webPod()
	podSecurity(p).RunAsNonRoot = new(true)
	security(p).RunAsNonRoot = new(false)
	build(t, input(p))
}

func TestIDsOutOfRangeAreRefused(t *testing.T) {
	for name, c := range map[string]func(*corev1.Pod){
		"runAsUser":  func(p *corev1.Pod) { security(p).RunAsUser = new(int64(1 << 32)) },
		"negative":   func(p *corev1.Pod) { security(p).RunAsUser = new(int64(-1)) },
		"runAsGroup": func(p *corev1.Pod) { security(p).RunAsGroup = new(int64(1 << 31)) },
		"fsGroup":    func(p *corev1.Pod) { podSecurity(p).FSGroup = new(int64(1 << 32)) },
		"groups":     func(p *corev1.Pod) { podSecurity(p).SupplementalGroups = []int64{-1} },
	} {
		t.Run(name, func(t *testing.T) {
			p := webPod()
			c(p)
			if s, err := spec.Build(input(p)); err == nil {
				t.Errorf("built with user %+v", s.Process.User)
			}
		})
	}
}
