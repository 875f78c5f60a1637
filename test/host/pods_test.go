package host

import (
	"fmt"
	"strings"
	"time"

	"github.com/podstead/podstead/test/record"
)

// grace is that of witnesses' pods.
const grace = 5 * time.Second

// witnessPod is a manifest of a pod with one witness, "app". more is YAML of
// the pod's spec, own of the container.
func witnessPod(name, generation, more, own string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata:
  name: %[1]s
spec:
  terminationGracePeriodSeconds: %[2]d
%[3]s  containers:
  - name: app
    image: %[4]s
%[5]s    env:
    - {name: WITNESS_DIR, value: /w}
    - {name: WITNESS_ID, value: default_%[1]s_app}
    - {name: WITNESS_GENERATION, value: %[6]q}
    - {name: WITNESS_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
    volumeMounts:
    - {name: w, mountPath: /w}
  volumes:
  - {name: w, hostPath: {path: %[7]s, type: Directory}}
`, name, grace/time.Second, indent(more, 2), image, indent(own, 4), generation, witnessDir)
}

func indent(yaml string, spaces int) string {
	var b strings.Builder
	for line := range strings.Lines(yaml) {
		b.WriteString(strings.Repeat(" ", spaces) + strings.TrimSuffix(line, "\n") + "\n")
	}
	return b.String()
}

// wants is what the manifest of a witness's pod says; no generation says that
// it was removed.
func wants(name, generation string) record.Manifest {
	m := record.Manifest{Pod: "default/" + name, Grace: grace}
	if generation != "" {
		m.Containers = map[string]string{"app": generation}
	}
	return m
}
