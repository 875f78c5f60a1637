package volumes

import (
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// subPath returns the clean relative path of a mount below its volume; "" for
// the volume itself.
func subPath(p *corev1.Pod, c *corev1.Container, vm *corev1.VolumeMount, uid types.UID) (string, error) {
	sub, field := vm.SubPath, "subPath"
	if vm.SubPathExpr != "" {
		field = "subPathExpr"
		var unknown string
		if sub, unknown = expand(vm.SubPathExpr, environment(p, c, uid)); unknown != "" {
			return "", refuse("CreateContainerConfigError",
				"subPathExpr %q uses $(%s), which is not a variable of the container; the container waits", vm.SubPathExpr, unknown)
		}
	}
	if sub == "" {
		return "", nil
	}
	for part := range strings.SplitSeq(sub, "/") {
		if part == ".." {
			return "", refuse(subPathEscape, "%s %q leads out of its volume, want a path without \"..\"; nothing is mounted", field, sub)
		}
	}
	if path.IsAbs(sub) || strings.Contains(sub, "\x00") {
		return "", refuse(subPathEscape, "%s %q is not a relative path; nothing is mounted", field, sub)
	}
	if sub = path.Clean(sub); sub == "." {
		return "", nil
	}
	return sub, nil
}

// environment holds those variables of a container whose values don't depend
// on anything but the manifest.
func environment(p *corev1.Pod, c *corev1.Container, uid types.UID) map[string]string {
	vars := map[string]string{}
	for i := range c.Env {
		e := &c.Env[i]
		if e.ValueFrom == nil {
			vars[e.Name], _ = expand(e.Value, vars)
			continue
		}
		if e.ValueFrom.FieldRef == nil {
			continue
		}
		if value, ok := field(p, uid, e.ValueFrom.FieldRef.FieldPath); ok {
			vars[e.Name] = value
		}
	}
	return vars
}

// field returns the value of a field of the pod's metadata.
func field(p *corev1.Pod, uid types.UID, name string) (string, bool) {
	switch name {
	case "metadata.name":
		return p.Name, true
	case "metadata.namespace":
		return p.Namespace, true
	case "metadata.uid":
		return string(uid), true
	}
	for prefix, values := range map[string]map[string]string{
		"metadata.labels['":      p.Labels,
		"metadata.annotations['": p.Annotations,
	} {
		if key, ok := strings.CutPrefix(name, prefix); ok {
			return values[strings.TrimSuffix(key, "']")], true
		}
	}
	return "", false
}

// expand replaces $(NAME) by the variable's value and $$ by $. References to
// unknown variables stay as they are; the first of them is returned.
func expand(text string, vars map[string]string) (result, unknown string) {
	var b strings.Builder
	for text != "" {
		before, after, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			break
		}
		end := strings.IndexByte(after, ')')
		switch {
		case strings.HasPrefix(after, "$"):
			b.WriteByte('$')
			text = after[1:]
		case strings.HasPrefix(after, "(") && end > 0:
			name := after[1:end]
			value, ok := vars[name]
			if !ok {
				value = "$(" + name + ")"
				if unknown == "" {
					unknown = name
				}
			}
			b.WriteString(value)
			text = after[end+1:]
		default:
			b.WriteByte('$')
			text = after
		}
	}
	return b.String(), unknown
}
