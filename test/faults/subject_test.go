package faults

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/podstead/podstead/test/checker"
	"github.com/podstead/podstead/test/record"
)

// subject is a pod and what its manifest says now.
type subject struct {
	*kind
	pod    string
	port   int
	mode   mode
	last   int            // the newest generation
	gens   map[string]int // of each container
	images map[string]int
	cpu    map[string]int64
	host   int // changes the host name, which takes a new pod
	label  int
}

// mode is the state of a manifest.
type mode int

const (
	// absent: there is none.
	absent mode = iota
	// wanted: it is there and in order.
	wanted
	// stuck: it is there and can't be taken on, so what was before it stays.
	stuck
)

func subjects() []*subject {
	var all []*subject
	for _, k := range kinds() {
		for i := range k.count {
			s := &subject{
				kind: &k, pod: fmt.Sprintf("%s-%d", k.name, i),
				gens: map[string]int{}, images: map[string]int{}, cpu: map[string]int64{},
			}
			if k.port != 0 {
				s.port = k.port + i
			}
			all = append(all, s)
		}
	}
	return all
}

func (s *subject) key() string             { return "default/" + s.pod }
func (s *subject) file() string            { return s.pod + ".yaml" }
func (s *subject) id(name string) string   { return checker.ID(s.key(), name) }
func (s *subject) generation(n int) string { return "g" + strconv.Itoa(n) }

// renew gives one container a new generation, or all of them.
func (s *subject) renew(names ...string) {
	s.last++
	for _, p := range s.parts {
		if len(names) == 0 || names[0] == p.name {
			s.gens[p.name] = s.last
		}
	}
}

// wish is what the judge is told.
func (s *subject) wish() record.Manifest {
	m := record.Manifest{Pod: s.key(), Grace: s.grace}
	if s.mode == absent {
		return m
	}
	m.Containers = map[string]string{}
	for _, p := range s.parts {
		m.Containers[p.name] = s.generation(s.gens[p.name])
		if p.final {
			m.Final = append(m.Final, p.name)
		}
	}
	return m
}

// manifest is the pod as YAML; witnesses write into dir.
func (s *subject) manifest(t *testing.T, dir string) string {
	t.Helper()
	grace := int64(s.grace / time.Second)
	p := corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: s.pod, Labels: map[string]string{"edit": strconv.Itoa(s.label)}},
		Spec: corev1.PodSpec{
			RestartPolicy: s.policy, TerminationGracePeriodSeconds: &grace,
			HostNetwork: s.port != 0 && !s.network, Hostname: fmt.Sprintf("h%d", s.host),
			Volumes: []corev1.Volume{{Name: "w", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir}}}},
		},
	}
	if s.shared {
		p.Spec.ShareProcessNamespace = &s.shared
	}
	if s.data {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	}
	for _, part := range s.parts {
		c := s.container(part)
		if part.role == app {
			p.Spec.Containers = append(p.Spec.Containers, c)
		} else {
			p.Spec.InitContainers = append(p.Spec.InitContainers, c)
		}
	}
	text, err := yaml.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (s *subject) container(p part) corev1.Container {
	c := corev1.Container{
		Name: p.name, Image: imageOf(s.images[p.name]), Args: p.args,
		Env: []corev1.EnvVar{
			{Name: "WITNESS_DIR", Value: "/w"},
			{Name: "WITNESS_ID", Value: s.id(p.name)},
			{Name: "WITNESS_GENERATION", Value: s.generation(s.gens[p.name])},
			{Name: "WITNESS_UID", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.uid"}}},
		},
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: *resource.NewMilliQuantity(5+s.cpu[p.name], resource.DecimalSI),
		}},
		VolumeMounts: []corev1.VolumeMount{{Name: "w", MountPath: "/w"}},
	}
	if p.role == sidecar {
		always := corev1.ContainerRestartPolicyAlways
		c.RestartPolicy = &always
	}
	if s.data {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "data", MountPath: "/data"})
	}
	switch {
	case s.network:
		c.Env = append(c.Env, corev1.EnvVar{Name: "WITNESS_LISTEN", Value: ":80"})
		c.Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: int32(s.port)}}
		c.ReadinessProbe = &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(80)},
		}}
	case s.port != 0:
		c.Env = append(c.Env, corev1.EnvVar{Name: "WITNESS_LISTEN", Value: fmt.Sprintf("127.0.0.1:%d", s.port)})
		c.Ports = []corev1.ContainerPort{{ContainerPort: int32(s.port), HostPort: int32(s.port)}}
	}
	return c
}

// imageOf names one of the images that are there, or, below zero, one that is
// nowhere.
func imageOf(n int) string {
	if n < 0 {
		return "localhost:1/nowhere:1"
	}
	return fmt.Sprintf("example.org/witness:%d", 1+n%2)
}
