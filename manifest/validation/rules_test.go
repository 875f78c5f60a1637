package validation_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/manifest/validation"
)

// rule is one thing that validation refuses: a change to the base pod that
// breaks it, the whole text that a person then reads, and a neighbouring
// change that is allowed.
type rule struct {
	name string
	bad  change
	want []string
	good change
}

// change alters a base pod; k is its only container.
type change func(p *corev1.Pod, k *corev1.Container)

func unchanged(*corev1.Pod, *corev1.Container) {}

// basePod is valid.
func basePod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "app", Image: "nginx:1.27"}},
			Volumes: []corev1.Volume{
				{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/srv"}}},
			},
		},
	}
}

func changed(by change) *corev1.Pod {
	p := basePod()
	by(p, &p.Spec.Containers[0])
	return p
}

func lines(errs []validation.Error) []string {
	var out []string
	for _, e := range errs {
		out = append(out, e.String())
	}
	return out
}

func checkRules(t *testing.T, rules []rule) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			bad := changed(r.bad)
			before := bad.DeepCopy()
			if diff := cmp.Diff(r.want, lines(validation.Pod(bad))); diff != "" {
				t.Errorf("the bad pod (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, bad); diff != "" {
				t.Errorf("validation changed the pod:\n%s", diff)
			}
			if got := lines(validation.Pod(changed(r.good))); got != nil {
				t.Errorf("the good pod is refused: %q", got)
			}
		})
	}
}
