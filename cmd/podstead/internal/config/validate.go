package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
)

// validator notes values that have the right type but can't be used.
type validator struct{ *decoder }

// invalid reports a field where it stands; one that was left out at the
// nearest field around it. A field that was found wrong already is passed by.
func (v *validator) invalid(field string, reason pod.Reason, message, got, want string) {
	for _, p := range v.problems {
		if p.Field == field {
			return
		}
	}
	v.problem(v.nearest(field), field, reason, message, got, want)
}

func (v *validator) nearest(field string) *yaml.Node {
	for {
		if n, ok := v.at[field]; ok {
			return n
		}
		cut := strings.LastIndexAny(field, ".[")
		if cut < 0 {
			return v.at[""]
		}
		field = field[:cut]
	}
}

func (v *validator) configuration(c *Configuration) {
	v.oneOf("apiVersion", c.APIVersion, APIVersion)
	v.oneOf("kind", c.Kind, Kind)
	if errs := validation.IsDNS1123Subdomain(c.NodeName); len(errs) > 0 {
		v.invalid("nodeName", pod.ReasonInvalidName, rule(errs), strconv.Quote(c.NodeName), "")
	}
	v.labels(c.Node.Labels)
	for field, path := range map[string]string{
		"stateDir": c.StateDir, "runDir": c.RunDir, "logDir": c.LogDir, "containerLogsDir": c.ContainerLogsDir,
		"socket": c.Socket, "imagesDir": c.ImagesDir, "cgroupRoot": c.CgroupRoot,
	} {
		v.absolute(field, path)
	}
	if len(c.Socket) > maxSocketPath {
		v.invalid("socket", pod.ReasonInvalid, "the path of a socket must be short", strconv.Itoa(len(c.Socket))+" bytes", fmt.Sprintf("at most %d bytes", maxSocketPath))
	}
	if _, err := c.GroupID(); err != nil {
		v.invalid("socketGroup", pod.ReasonInvalid, "there is no such group on this host", strconv.Quote(c.SocketGroup), "a group's name or number")
	}
	v.runtime(&c.Runtime)
	v.sources(c.Sources)
	v.restart(c.Restart)
	v.network(c.Network)
	v.imageGC(c.ImageGC)
	v.amounts(c)
	v.oneOf("onExit", c.OnExit, OnExitKeep, OnExitDrain)
	v.shutdown(c.Shutdown)
	v.metrics(c.Metrics)
	v.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	v.oneOf("log.format", c.Log.Format, "auto", "console", "json")
}

// ownLabels are those that podstead sets itself.
var ownLabels = []string{corev1.LabelHostname, corev1.LabelOSStable, corev1.LabelArchStable}

func (v *validator) labels(labels map[string]string) {
	for key, value := range labels {
		field := fmt.Sprintf("node.labels[%s]", key)
		if errs := validation.IsQualifiedName(key); len(errs) > 0 {
			v.invalid(field, pod.ReasonInvalidName, rule(errs), strconv.Quote(key), "")
		}
		if errs := validation.IsValidLabelValue(value); len(errs) > 0 {
			v.invalid(field, pod.ReasonInvalid, rule(errs), strconv.Quote(value), "")
		}
		if slices.Contains(ownLabels, key) {
			v.invalid(field, pod.ReasonInvalid, "podstead sets this label itself", "", "another key")
		}
	}
}

// maxSocketPath is what a sockaddr_un holds.
const maxSocketPath = 107

func (v *validator) runtime(r *Runtime) {
	v.oneOf("runtime.mode", r.Mode, ModeOwn, ModeExternal)
	for field, path := range map[string]string{
		"address": r.Address, "containerd": r.Containerd, "logger": r.Logger, "pause": r.Pause, "names": r.Names,
		"root": r.Root, "state": r.State, "hostsDir": r.HostsDir,
	} {
		v.absolute("runtime."+field, path)
	}
	if strings.Contains(r.Runc, "/") {
		v.absolute("runtime.runc", r.Runc)
	}
	if errs := validation.IsDNS1123Label(r.Namespace); len(errs) > 0 {
		v.invalid("runtime.namespace", pod.ReasonInvalidName, rule(errs), strconv.Quote(r.Namespace), "")
	}
}

func (v *validator) metrics(m Metrics) {
	_, port, err := net.SplitHostPort(m.Address)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 {
		v.invalid("metrics.address", pod.ReasonInvalid, "", strconv.Quote(m.Address), "an address and a port such as 127.0.0.1:9255")
	}
	if m.WebConfigFile != "" {
		v.absolute("metrics.webConfigFile", m.WebConfigFile)
	}
	for i, label := range m.Drop {
		v.oneOf(fmt.Sprintf("metrics.drop[%d]", i), label, "id", "name")
	}
}

func (v *validator) shutdown(s Shutdown) {
	v.atLeast("shutdown.gracePeriod", time.Duration(s.GracePeriod), 0)
	v.atLeast("shutdown.gracePeriodCriticalPods", time.Duration(s.GracePeriodCriticalPods), 0)
	if s.GracePeriodCriticalPods > s.GracePeriod && s.GracePeriod >= 0 {
		v.invalid("shutdown.gracePeriodCriticalPods", pod.ReasonInvalid, "it is a part of shutdown.gracePeriod",
			s.GracePeriodCriticalPods.String(), "at most "+s.GracePeriod.String())
	}
}

func (v *validator) restart(r Restart) {
	v.atLeast("restart.base", time.Duration(r.Base), time.Second)
	v.atLeast("restart.max", time.Duration(r.Max), time.Duration(r.Base))
	v.atLeast("restart.reset", time.Duration(r.Reset), time.Second)
	v.count("restart.perSecond", int64(r.PerSecond), 1, 1000)
	v.count("restart.burst", int64(r.Burst), 1, 10_000)
}

func (v *validator) amounts(c *Configuration) {
	v.count("pidsLimit", c.PidsLimit, 1, 4<<20)
	v.count("reserved.pids", c.Reserved.PIDs, 0, 4<<20)
	v.count("logs.maxFiles", int64(c.Logs.MaxFiles), 2, 1000)
	v.count("parallelism.starts", int64(c.Parallelism.Starts), 1, 1000)
	v.count("parallelism.pulls", int64(c.Parallelism.Pulls), 1, 100)
	if c.Logs.MaxSize < 4<<10 {
		v.invalid("logs.maxSize", pod.ReasonInvalid, "", c.Logs.MaxSize.String(), "4Ki or more")
	}
	for field, q := range map[string]Quantity{"reserved.cpu": c.Reserved.CPU, "reserved.memory": c.Reserved.Memory} {
		if q.Sign() < 0 {
			v.invalid(field, pod.ReasonInvalidQuantity, "", q.String(), "0 or more")
		}
	}
}

func (v *validator) imageGC(g ImageGC) {
	v.count("imageGC.highThresholdPercent", int64(g.HighThresholdPercent), 1, 100)
	v.count("imageGC.lowThresholdPercent", int64(g.LowThresholdPercent), 0, int64(max(0, g.HighThresholdPercent-1)))
	v.atLeast("imageGC.minimumAge", time.Duration(g.MinimumAge), 0)
	if g.MaximumAge != 0 {
		v.atLeast("imageGC.maximumAge", time.Duration(g.MaximumAge), max(0, time.Duration(g.MinimumAge)))
	}
	for i, pattern := range g.Pinned {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			v.invalid(fmt.Sprintf("imageGC.pinned[%d]", i), pod.ReasonInvalid, "", strconv.Quote(pattern),
				"a name such as registry.example.com/shop/web, with * for any part between two slashes")
		}
	}
}

func (v *validator) sources(sources []Source) {
	first := map[string]int{}
	for i, s := range sources {
		at := fmt.Sprintf("sources[%d]", i)
		if errs := validation.IsDNS1123Label(s.Name); len(errs) > 0 {
			v.invalid(at+".name", pod.ReasonInvalidName, rule(errs), strconv.Quote(s.Name), "")
		} else if earlier, twice := first[s.Name]; twice {
			v.invalid(at+".name", pod.ReasonDuplicate,
				fmt.Sprintf("sources[%d] on line %d has this name already", earlier, v.nearest(fmt.Sprintf("sources[%d].name", earlier)).Line),
				strconv.Quote(s.Name), "a name of its own")
		} else {
			first[s.Name] = i
		}
		v.source(at, s)
	}
}

func (v *validator) source(at string, s Source) {
	switch {
	case s.Directory != nil && s.URL != nil:
		v.invalid(at, pod.ReasonInvalid, "a source is a directory or a url, not both", "", "one of them")
	case s.Directory != nil:
		v.absolute(at+".directory.path", s.Directory.Path)
		v.atLeast(at+".directory.rescan", time.Duration(s.Directory.Rescan), time.Second)
	case s.URL != nil:
		v.url(at+".url", s.URL)
	default:
		v.invalid(at, pod.ReasonRequired, "nothing says where this source's manifests are", "", "directory or url")
	}
	if s.Directory != nil || s.URL != nil {
		v.oneOf(at+".podSecurity", s.PodSecurity, "privileged", "baseline", "restricted")
	}
	for i, ns := range s.Namespaces {
		if errs := validation.IsDNS1123Label(ns); len(errs) > 0 {
			v.invalid(fmt.Sprintf("%s.namespaces[%d]", at, i), pod.ReasonInvalidName, rule(errs), strconv.Quote(ns), "")
		}
	}
	for i, path := range s.AllowHostPaths {
		v.absolute(fmt.Sprintf("%s.allowHostPaths[%d]", at, i), path)
	}
	v.count(at+".maxPods", int64(s.MaxPods), 0, 1<<20)
	v.count(at+".maxContainers", int64(s.MaxContainers), 0, 1<<20)
}

func (v *validator) url(at string, u *URL) {
	parsed, err := url.Parse(u.URL)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		v.invalid(at+".url", pod.ReasonInvalid, "", strconv.Quote(u.URL), "an address such as https://host/pods.yaml")
	} else if parsed.User != nil {
		v.invalid(at+".url", pod.ReasonInvalid, "a password in an address shows up in logs", parsed.Redacted(), "a header in headersFile")
	}
	v.atLeast(at+".interval", time.Duration(u.Interval), time.Second)
	for field, path := range map[string]string{"ca": u.CA, "cert": u.Cert, "key": u.Key, "headersFile": u.HeadersFile} {
		if path != "" {
			v.absolute(at+"."+field, path)
		}
	}
	if (u.Cert == "") != (u.Key == "") {
		v.invalid(at, pod.ReasonRequired, "a client's certificate needs its key", "one of cert and key", "both or none")
	}
	if u.MaxBytes < 1<<10 || u.MaxBytes > 100<<20 {
		v.invalid(at+".maxBytes", pod.ReasonInvalid, "", u.MaxBytes.String(), "from 1Ki to 100Mi")
	}
}

func (v *validator) network(n Network) {
	v.ranges("network.podCIDRs", n.PodCIDRs, network.CheckPodCIDR)
	v.ranges("network.serviceCIDRs", n.ServiceCIDRs, func(r netip.Prefix) string { return network.CheckServiceCIDR(r, n.PodCIDRs) })
}

// ranges checks ranges of addresses. check returns what is wanted instead of
// one that can't be used.
func (v *validator) ranges(list string, ranges []netip.Prefix, check func(netip.Prefix) string) {
	first := map[bool]netip.Prefix{}
	for i, r := range ranges {
		field := fmt.Sprintf("%s[%d]", list, i)
		if want := check(r); want != "" {
			v.invalid(field, pod.ReasonInvalid, "", strconv.Quote(r.String()), want)
		} else if other, twice := first[r.Addr().Is6()]; twice {
			v.invalid(field, pod.ReasonInvalid, "there is one of this family already: "+other.String(), strconv.Quote(r.String()), "at most one IPv4 and one IPv6 range")
		} else {
			first[r.Addr().Is6()] = r
		}
	}
}

// absolute passes by defaults: where they are derived from another field,
// that one is at fault.
func (v *validator) absolute(field, path string) {
	if _, given := v.at[field]; !given && path != "" {
		return
	}
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || path == "/" {
		v.invalid(field, pod.ReasonInvalid, "", strconv.Quote(path), "an absolute path without . and ..")
	}
}

func (v *validator) oneOf(field, got string, want ...string) {
	if !slices.Contains(want, got) {
		v.invalid(field, pod.ReasonInvalid, "", strconv.Quote(got), strings.Join(want, " or "))
	}
}

func (v *validator) atLeast(field string, got, want time.Duration) {
	if got < want {
		v.invalid(field, pod.ReasonInvalid, "", got.String(), want.String()+" or more")
	}
}

func (v *validator) count(field string, got, low, high int64) {
	if got < low || got > high {
		v.invalid(field, pod.ReasonInvalid, "", strconv.FormatInt(got, 10), fmt.Sprintf("from %d to %d", low, high))
	}
}

// GroupID is the number of SocketGroup, 0 when that is empty.
func (c *Configuration) GroupID() (int, error) {
	if c.SocketGroup == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(c.SocketGroup, 10, 31); err == nil {
		return int(n), nil
	}
	g, err := user.LookupGroup(c.SocketGroup)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}

// rule is the sentence of the first of apimachinery's messages, without the
// regular expression after it.
func rule(errs []string) string {
	sentence, _, _ := strings.Cut(errs[0], " (e.g.")
	return sentence
}
