package host

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// clean waits until the server is as if nothing had ever happened to it but
// what is wanted: every wanted pod is ready, and there is nothing else.
func (n *node) clean() {
	n.t.Helper()
	n.Eventually(wait, func() error {
		pods, err := n.Pods()
		if err != nil {
			return err
		}
		return errors.Join(n.podsAreWanted(pods), n.nothingElse(pods), n.networkIsClean(pods), n.stateIsWhole())
	})
}

// podsAreWanted compares pods with what is wanted, and each witness's own word
// on what it runs.
func (n *node) podsAreWanted(pods []corev1.Pod) error {
	var all []error
	var names []string
	for _, p := range pods {
		names = append(names, p.Name)
		if err := ready(p); err != nil {
			all = append(all, fmt.Errorf("pod %s: %w", p.Name, err))
		}
		env := p.Spec.Containers[0].Env
		if at := slices.IndexFunc(env, func(e corev1.EnvVar) bool { return e.Name == "WITNESS_GENERATION" }); at < 0 || env[at].Value != n.wanted[p.Name].generation {
			all = append(all, fmt.Errorf("pod %s has not generation %q yet", p.Name, n.wanted[p.Name].generation))
		}
	}
	return errors.Join(append(all, same("pods", names, slices.Collect(maps.Keys(n.wanted))))...)
}

// look lists what pods leave on a server: a word for the kind, and a name. Its
// arguments are filters for the records of containers.
const look = `
ids() { sed 's/.*pod\([0-9a-f-]\{36\}\).*/\1/'; }
find /sys/fs/cgroup/podstead -name 'pod*-*' -type d | ids | sed 's/^/cgroup /'
ls ` + runDir + `/pods | sed 's/^/sandbox /'
ls ` + runDir + `/netns | sed 's/^/netns /'
ls ` + stateDir + `/volumes | sed 's/^/volumes /'
ls /var/log/pods | sed 's/.*_/logs /'
findmnt -rno TARGET | grep ^` + runDir + `/pods/ | cut -d/ -f5 | sort -u | sed 's/^/mount /'
ip -o link show group 5263172 | sed 's/.*/link/'
ctr="ctr -a ` + runDir + `/containerd/containerd.sock -n podstead"
$ctr tasks ls -q | sed 's/^/task /'
$ctr containers ls -q | sed 's/^/record /'
[ $# = 0 ] || $ctr containers ls -q "$@" | sed 's/^/ours /'
ls ` + runDir + `/containerd/io.containerd.runtime.v2.task/podstead | sed 's/^/bundle /'
pgrep -x witness | sed 's/^/process /'
pgrep -x podstead-logger | sed 's/^/logger /' || true
pgrep -x containerd-shim | sed 's/^/shim /'
find -L /var/log/containers -type l | sed 's/^/dangling /'
`

// nothingElse compares what there is on the server with what its pods need.
func (n *node) nothingElse(pods []corev1.Pod) error {
	args := []string{"sh", "-euc", look, "sh"}
	for _, p := range pods {
		args = append(args, fmt.Sprintf(`labels."podstead.dev/uid"==%s`, p.UID))
	}
	found := map[string][]string{}
	for line := range strings.Lines(n.Run(args...)) {
		kind, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		found[kind] = append(found[kind], name)
	}
	var uids, containers []string
	for _, p := range pods {
		uids = append(uids, string(p.UID))
		for _, c := range p.Status.ContainerStatuses {
			containers = append(containers, strings.TrimPrefix(c.ContainerID, "containerd://"))
		}
	}
	var all []error
	for _, kind := range []string{"cgroup", "sandbox", "netns", "volumes", "logs", "mount"} {
		all = append(all, same(kind, found[kind], uids))
	}
	for _, kind := range []string{"task", "bundle"} {
		all = append(all, same(kind, found[kind], containers))
	}
	// Records of earlier runs are kept while their pod is there.
	all = append(all, same("record", found["record"], found["ours"]))
	for kind, want := range map[string]int{"link": len(pods), "shim": len(pods), "process": len(containers), "dangling": 0} {
		if got := len(found[kind]); got != want {
			all = append(all, fmt.Errorf("%d of kind %s, want %d: %q", got, kind, want, found[kind]))
		}
	}
	return errors.Join(all...)
}

var podAddress = regexp.MustCompile(`10\.117\.\d+\.\d+(/\d+)?|fd5b:3c1e:9a27:117:[0-9a-f:]+(/\d+)?`)

// networkIsClean looks for addresses that belong to no pod, in routes and
// rules, and asks the port of the host that a pod has.
func (n *node) networkIsClean(pods []corev1.Pod) error {
	mine := map[string]bool{}
	for _, p := range pods {
		for _, ip := range p.Status.PodIPs {
			mine[netip.MustParseAddr(ip.IP).String()] = true
		}
	}
	if len(mine) != 2*len(pods) {
		return fmt.Errorf("%d pods have %d addresses: %v", len(pods), len(mine), mine)
	}
	var all []error
	seen := map[string]bool{}
	for place, text := range map[string]string{
		"routes": n.Shell("ip route; ip -6 route"), "rules": n.Run("nft", "list", "ruleset"), "neighbors": n.Run("ip", "neigh", "show", "nud", "permanent"),
	} {
		for _, address := range podAddress.FindAllString(text, -1) {
			if strings.Contains(address, "/") {
				continue // the range
			}
			if seen[address] = true; !mine[address] {
				all = append(all, fmt.Errorf("%s have %s, which no pod has", place, address))
			}
		}
	}
	for address := range mine {
		if !seen[address] {
			all = append(all, fmt.Errorf("no route leads to %s", address))
		}
	}
	if _, ok := n.wanted["web"]; ok {
		for _, host := range []string{"127.0.0.1", "10.0.2.15"} {
			_, err := n.HTTP("", "http://"+host+":8080/healthz", nil)
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// stateIsWhole looks for what a write that was cut off leaves.
func (n *node) stateIsWhole() error {
	text := n.Shell("cd " + stateDir + `
find . -path ./containerd -prune -o -path ./volumes -prune -o \( -name '*.corrupt-*' -o -name '.*' ! -name . -o -name '*.part' -o -name '*.tmp*' \) -print
find . -path ./containerd -prune -o -type f -empty ! -name '*lock*' -print
find containerd/io.containerd.content.v1.content/ingest containerd/tmpmounts -mindepth 1 -print`)
	if text != "" {
		return fmt.Errorf("half-written in %s: %q", stateDir, text)
	}
	return nil
}

// same tells what is missing and what is too many.
func same(what string, got, want []string) error {
	var all []error
	for _, name := range got {
		if !slices.Contains(want, name) {
			all = append(all, fmt.Errorf("%s %s should not be there", what, name))
		}
	}
	for _, name := range want {
		if !slices.Contains(got, name) {
			all = append(all, fmt.Errorf("%s %s is not there", what, name))
		}
	}
	if len(got) != len(want) && len(all) == 0 {
		all = append(all, fmt.Errorf("%s: %q, want %q", what, got, want))
	}
	return errors.Join(all...)
}
