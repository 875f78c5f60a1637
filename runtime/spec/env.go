package spec

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// defaultPath is what a container finds programs by whose image says nothing.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environ is an ordered environment: a name keeps its first place and takes
// its last value.
type environ struct {
	list []string
	at   map[string]int
	size int
}

func (e *environ) set(name, value string) {
	entry := name + "=" + value
	if i, ok := e.at[name]; ok {
		e.size += len(entry) - len(e.list[i])
		e.list[i] = entry
		return
	}
	e.at[name] = len(e.list)
	e.list = append(e.list, entry)
	e.size += len(entry) + 1
}

// environment returns the process's environment and, of it, the variables of
// the pod, which are what $(NAME) in command and args refers to. Later wins:
// defaults, image, pod.
func (b *builder) environment() ([]string, map[string]string, error) {
	e := &environ{at: map[string]int{}}
	e.set("PATH", defaultPath)
	if b.c.TTY {
		e.set("TERM", "xterm")
	}
	e.set("HOSTNAME", b.hostname())
	for i, entry := range b.in.Image.Env {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || name == "" {
			return nil, nil, b.refuse(reasonCreate, "/config.Env", "entry %d is %s, it has to be NAME=VALUE", i, quote(entry))
		}
		e.set(name, value)
	}
	vars, err := b.podVariables(e)
	return e.list, vars, err
}

// hostname is what HOSTNAME says; a pod on the host's network is named as
// the host.
func (b *builder) hostname() string {
	if b.req.Sandbox.Hostname != "" {
		return b.req.Sandbox.Hostname
	}
	return b.req.Node.Name
}

// podVariables adds the container's env in its order; each may refer to
// those before it.
func (b *builder) podVariables(e *environ) (map[string]string, error) {
	if len(b.c.EnvFrom) > 0 {
		return nil, b.refuse(reasonConfig, "envFrom", "config maps and secrets are not available")
	}
	vars := make(map[string]string, len(b.c.Env))
	lookup := func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
	for i := range b.c.Env {
		v := &b.c.Env[i]
		value, fits := pod.Expand(v.Value, lookup, maxArgBytes)
		if fits && v.ValueFrom != nil {
			var err error
			if value, err = b.valueFrom(i, v.ValueFrom); err != nil {
				return nil, err
			}
		}
		vars[v.Name] = value
		e.set(v.Name, value)
		if !fits || e.size > maxArgBytes {
			return nil, b.tooBig(envField(i), "the environment up to "+quote(v.Name))
		}
	}
	return vars, nil
}

// valueFrom resolves env[i].valueFrom.
func (b *builder) valueFrom(i int, from *corev1.EnvVarSource) (string, error) {
	field := envField(i) + ".valueFrom"
	switch {
	case from.FieldRef != nil:
		return b.fieldRef(field+".fieldRef.fieldPath", from.FieldRef.FieldPath)
	case from.ResourceFieldRef != nil:
		return b.resourceFieldRef(field+".resourceFieldRef", from.ResourceFieldRef)
	default:
		return "", b.refuse(reasonConfig, field, "only fieldRef and resourceFieldRef are available")
	}
}
