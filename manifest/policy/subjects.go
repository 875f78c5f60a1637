package policy

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	psa "k8s.io/pod-security-admission/policy"
)

// subject is what a check is about: where to look when it refuses, and what
// to write instead.
type subject struct {
	// name is the field of security contexts, with dots.
	name string
	want string
	// split takes a container apart where the subject is not one field of
	// its security context; nil where it is.
	split func(at *field.Path, k *corev1.Container) []part
}

// subjectOf knows the checks of the library. A check that is new there is
// still enforced; only the field is then named less exactly.
func subjectOf(id psa.CheckID) subject {
	switch id {
	case "allowPrivilegeEscalation":
		return subject{name: "allowPrivilegeEscalation", want: "false"}
	case "appArmorProfile":
		return subject{name: "appArmorProfile.type", want: "RuntimeDefault or Localhost, or the field left out"}
	case "capabilities_baseline":
		return subject{want: "a capability that containers have by default", split: capabilityParts}
	case "capabilities_restricted":
		return subject{want: `drop: ["ALL"], and nothing added but NET_BIND_SERVICE`, split: capabilityParts}
	case "hostNamespaces":
		return subject{want: "false, or the field left out"}
	case "hostPorts":
		return subject{want: "no hostPort, or one that the source's allowHostPorts allows", split: portParts}
	case "hostPathVolumes":
		return subject{want: "another kind of volume, or a path that the source's allowHostPaths allows"}
	case "hostProbesAndHostLifecycle":
		return subject{want: "the field left out: the pod itself is asked", split: hostParts}
	case "privileged":
		return subject{name: "privileged", want: "false, or the field left out"}
	case "procMount", "procMount_restricted":
		return subject{name: "procMount", want: "Default, or the field left out"}
	case "restrictedVolumes":
		return subject{want: "emptyDir, or a hostPath that the source's allowHostPaths allows"}
	case "runAsNonRoot":
		return subject{name: "runAsNonRoot", want: "true, on the pod or on each container"}
	case "runAsUser":
		return subject{name: "runAsUser", want: "1 or more, or the field left out"}
	case "seccompProfile_baseline":
		return subject{name: "seccompProfile.type", want: "RuntimeDefault or Localhost, or the field left out"}
	case "seccompProfile_restricted":
		return subject{name: "seccompProfile.type", want: "RuntimeDefault or Localhost, on the pod or on each container"}
	case "seLinuxOptions":
		return subject{name: "seLinuxOptions", want: "no user and no role, and a type for containers"}
	case "sysctls":
		return subject{want: "a sysctl that Kubernetes calls safe"}
	case "windowsHostProcess":
		return subject{name: "windowsOptions.hostProcess", want: "false, or the field left out"}
	default:
		return subject{}
	}
}

// in returns the part that a security context is, named by the subject.
func (s subject) in(at *field.Path, context any) part {
	if s.name == "" {
		return part{at: at}
	}
	names := strings.Split(s.name, ".")
	return part{at: at.Child(names[0], names[1:]...), got: lookup(context, names)}
}

func (s subject) ofContainer(at *field.Path, k *corev1.Container) []part {
	if s.split != nil {
		return s.split(at, k)
	}
	pt := s.in(at.Child("securityContext"), k.SecurityContext)
	pt.spec.Containers = []corev1.Container{*k}
	return []part{pt}
}

// lookup returns the JSON value at a path of an API object, notSet when there
// is none.
func lookup(object any, path []string) string {
	// API objects can always be marshalled; without data nothing is set.
	data, _ := json.Marshal(object)
	for _, name := range path {
		fields := decoded(data)
		if fields[name] == nil {
			return notSet
		}
		data = fields[name]
	}
	return string(data)
}

// keys returns the JSON names of what is set in an API object, sorted.
func keys(object any) []string {
	data, _ := json.Marshal(object)
	return slices.Sorted(maps.Keys(decoded(data)))
}

// decoded returns the fields of a JSON object, none for anything else.
func decoded(data []byte) map[string]json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return nil
	}
	return fields
}

// capabilityParts shows each added capability beside what restricted wants
// dropped, and what is dropped beside nothing added.
func capabilityParts(at *field.Path, k *corev1.Container) []part {
	at = at.Child("securityContext", "capabilities")
	var added, dropped []corev1.Capability
	if k.SecurityContext != nil && k.SecurityContext.Capabilities != nil {
		added, dropped = k.SecurityContext.Capabilities.Add, k.SecurityContext.Capabilities.Drop
	}
	got := notSet
	if len(dropped) > 0 {
		got = quotedList(dropped)
	}
	parts := []part{contained(at.Child("drop"), got, withCapabilities(nil, dropped))}
	for i, c := range added {
		parts = append(parts, contained(at.Child("add").Index(i), quoted(string(c)),
			withCapabilities(added[i:i+1], []corev1.Capability{"ALL"})))
	}
	return parts
}

func quotedList(list []corev1.Capability) string {
	words := make([]string, len(list))
	for i, c := range list {
		words[i] = quoted(string(c))
	}
	return strings.Join(words, ", ")
}

func withCapabilities(add, drop []corev1.Capability) corev1.Container {
	return corev1.Container{SecurityContext: &corev1.SecurityContext{
		Capabilities: &corev1.Capabilities{Add: add, Drop: drop}}}
}

func contained(at *field.Path, got string, k corev1.Container) part {
	return part{at: at, got: got, spec: corev1.PodSpec{Containers: []corev1.Container{k}}}
}

func portParts(at *field.Path, k *corev1.Container) []part {
	var parts []part
	for i, p := range k.Ports {
		parts = append(parts, contained(at.Child("ports").Index(i).Child("hostPort"),
			strconv.Itoa(int(p.HostPort)), corev1.Container{Ports: k.Ports[i : i+1]}))
	}
	return parts
}
