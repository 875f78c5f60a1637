package host

import (
	"fmt"
	"strings"
	"time"

	"github.com/podstead/podstead/test/record"
)

// grace is that of witnesses' pods.
const grace = 5 * time.Second

// spec is what a manifest says beside the pod's name.
type spec struct {
	generation string
	image      string // empty for that of witnesses
	pod        string // YAML of the pod's spec
	container  string // YAML of the container "app"
	// sidecar adds a second container, "side".
	sidecar bool
}

// standing are the pods that live through everything, and how often their
// manifest was changed is their generation.
var standing = map[string]spec{
	"web": {container: "ports: [{containerPort: 8080, hostPort: 8080}]\nargs: [-listen, ':8080']\n" +
		"readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 3, timeoutSeconds: 3}\n"},
	"duo":   {sidecar: true, container: "resources: {limits: {cpu: 200m, memory: 64Mi}}\n"},
	"fleet": {container: "resources: {requests: {cpu: 100m, memory: 16Mi}, limits: {memory: 64Mi}}\n"},
}

// manifest is that of a pod of witnesses.
func manifest(name string, s spec) string {
	if s.image == "" {
		s.image = image
	}
	text := fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata:
  name: %[1]s
spec:
  terminationGracePeriodSeconds: %[2]d
  volumes:
  - {name: w, hostPath: {path: %[3]s, type: Directory}}
%[4]s  containers:
%[5]s`, name, grace/time.Second, witnessDir, indent(s.pod, 2), witness(name, "app", s))
	if s.sidecar {
		text += witness(name, "side", spec{generation: s.generation, image: s.image, container: "resources: {limits: {cpu: 100m, memory: 32Mi}}\n"})
	}
	return text
}

func witness(pod, container string, s spec) string {
	return fmt.Sprintf(`  - name: %[2]s
    image: %[3]s
%[4]s    env:
    - {name: WITNESS_DIR, value: /w}
    - {name: WITNESS_ID, value: default_%[1]s_%[2]s}
    - {name: WITNESS_GENERATION, value: %[5]q}
    - {name: WITNESS_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
    volumeMounts:
    - {name: w, mountPath: /w}
`, pod, container, s.image, indent(s.container, 4), s.generation)
}

func indent(yaml string, spaces int) string {
	var b strings.Builder
	for line := range strings.Lines(yaml) {
		b.WriteString(strings.Repeat(" ", spaces) + strings.TrimSuffix(line, "\n") + "\n")
	}
	return b.String()
}

// wants is what the checker is to know of a manifest; an empty generation says
// that it was removed.
func wants(name string, s spec) record.Manifest {
	m := record.Manifest{Pod: "default/" + name, Grace: grace}
	if s.generation == "" {
		return m
	}
	m.Containers = map[string]string{"app": s.generation}
	if s.sidecar {
		m.Containers["side"] = s.generation
	}
	return m
}

// apply puts the manifest of a standing pod into place.
func (n *node) apply(name, generation string) {
	n.t.Helper()
	s := standing[name]
	s.generation = generation
	n.applySpec(name, s)
}

// applySpec puts the manifest of any pod into place.
func (n *node) applySpec(name string, s spec) {
	n.t.Helper()
	n.wanted[name] = s
	n.Want(wants(name, s))
	n.Put(manifestsDir+"/"+name+".yaml", manifest(name, s), 0o600)
}

// drop removes a manifest for good.
func (n *node) drop(name string) {
	n.t.Helper()
	n.Shell("rm " + manifestsDir + "/" + name + ".yaml; sync " + manifestsDir)
	delete(n.wanted, name)
	n.Want(wants(name, spec{}))
}

// publish makes the URL say that the pod "fleet" is wanted, or no pod.
func (n *node) publish(generation string) {
	n.t.Helper()
	list := "apiVersion: v1\nkind: PodList\nitems: []\n"
	s := standing["fleet"]
	s.generation = generation
	if generation != "" {
		list = manifest("fleet", s)
		n.wanted["fleet"] = s
		n.Want(wants("fleet", s))
	}
	n.Put(fleetDir+"/pods.yaml", list, 0o644)
	if generation == "" {
		delete(n.wanted, "fleet")
		n.Want(wants("fleet", spec{}))
	}
}

// fleet starts or stops the server of the URL, which no boot starts.
func (n *node) fleet(up bool) {
	n.t.Helper()
	if !up {
		n.Run("systemctl", "stop", "fleet.service")
		return
	}
	n.Run("mkdir", "-p", fleetDir)
	n.Run("systemd-run", "--unit=fleet", "/run/guest/agent", "http", fleetAddress, fleetDir)
}
