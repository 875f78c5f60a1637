// Package leaks takes snapshots of everything on a host that pods leave
// traces in, and tells what differs between two of them.
package leaks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/vishvananda/netlink"
)

// Config says where to look. The network, mount and PID namespaces are those
// of the caller.
type Config struct {
	// CgroupRoot is the folder of ours in each hierarchy, such as /podstead.
	CgroupRoot string
	// Files are folders of which every path is noted.
	Files []string
	// Ours is the path of the private folder: it is in the command line of
	// each process of ours, and our mounts are below it.
	Ours string
	// Containerd is the address of its socket and Namespace that of ours.
	Containerd, Namespace string
}

// Snapshot is what was there, by kind; each list is sorted and may hold
// equal entries.
type Snapshot map[string][]string

// shimSockets is where shims put their sockets, whatever the configuration.
const shimSockets = "/run/containerd/s"

// Take looks at everything. The error names what could not be looked at.
func Take(ctx context.Context, c Config) (Snapshot, error) {
	s := Snapshot{}
	looks := map[string]func() ([]string, error){
		"link":        links,
		"nft":         func() ([]string, error) { return nft(ctx) },
		"mount":       func() ([]string, error) { return mounts(c.Ours) },
		"cgroup":      func() ([]string, error) { return cgroups(c.CgroupRoot) },
		"shim socket": func() ([]string, error) { return tree(shimSockets) },
		"process":     func() ([]string, error) { return processes(c.Ours) },
	}
	for kind, look := range looks {
		found, err := look()
		if err != nil {
			return nil, fmt.Errorf("look for each %s: %w", kind, err)
		}
		s[kind] = found
	}
	for _, dir := range c.Files {
		found, err := tree(dir)
		if err != nil {
			return nil, fmt.Errorf("look for files: %w", err)
		}
		s["file"] = append(s["file"], found...)
	}
	if c.Containerd != "" {
		if err := s.containerd(ctx, c); err != nil {
			return nil, fmt.Errorf("look into containerd: %w", err)
		}
	}
	for _, found := range s {
		slices.Sort(found)
	}
	return s, nil
}

// Diff returns one line for each thing that is in one snapshot only: "+ kind:
// what" when it is new, "- kind: what" when it is gone. Equal snapshots have
// no difference.
func Diff(before, after Snapshot) []string {
	kinds := map[string]bool{}
	for _, s := range []Snapshot{before, after} {
		for kind := range s {
			kinds[kind] = true
		}
	}
	var lines []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		counts := map[string]int{}
		for _, what := range after[kind] {
			counts[what]++
		}
		for _, what := range before[kind] {
			counts[what]--
		}
		for _, what := range slices.Sorted(maps.Keys(counts)) {
			sign := "+"
			if counts[what] < 0 {
				sign = "-"
			}
			for range max(counts[what], -counts[what]) {
				lines = append(lines, sign+" "+kind+": "+what)
			}
		}
	}
	return lines
}

// links lists links with the addresses that are routed to each alone. It lists
// anew when something changed meanwhile.
func links() ([]string, error) {
	for {
		if found, err := linksNow(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return found, err
		}
	}
}

func linksNow() ([]string, error) {
	all, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, l := range all {
		text := l.Type() + " " + l.Attrs().Name
		if l.Type() == "veth" {
			routes, err := netlink.RouteList(l, netlink.FAMILY_ALL)
			if err != nil {
				return nil, err
			}
			for _, r := range routes {
				if ones, bits := r.Dst.Mask.Size(); ones == bits {
					text += " " + r.Dst.IP.String()
				}
			}
		}
		found = append(found, text)
	}
	return found, nil
}

// nft lists the rules, each with its table.
func nft(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "nft", "--stateless", "list", "ruleset").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	var found []string
	table := ""
	for line := range strings.Lines(string(out)) {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "table "):
			table = strings.TrimSuffix(line, " {")
			found = append(found, table+":")
		case line != "" && line != "}":
			found = append(found, table+": "+line)
		}
	}
	return found, nil
}

// mounts returns those below a folder: what others mount on the host comes and
// goes.
func mounts(below string) ([]string, error) {
	all, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, m := range all {
		if below == "" || strings.HasPrefix(m.Mountpoint+"/", strings.TrimSuffix(below, "/")+"/") {
			found = append(found, m.FSType+" "+m.Mountpoint)
		}
	}
	return found, nil
}

// cgroups returns the cgroups of pods in every hierarchy: those of ours but
// the root and the two classes of service, which stay.
func cgroups(root string) ([]string, error) {
	hierarchies, err := Hierarchies()
	if err != nil || root == "" {
		return nil, err
	}
	var found []string
	for _, h := range hierarchies {
		top := filepath.Join(h, root)
		stay := []string{top, filepath.Join(top, "besteffort"), filepath.Join(top, "burstable")}
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && !slices.Contains(stay, path) {
				found = append(found, path)
			}
			return ignoreGone(err)
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// Hierarchies returns where each cgroup hierarchy is mounted.
func Hierarchies() ([]string, error) {
	all, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return nil, err
	}
	var points []string
	for _, m := range all {
		points = append(points, m.Mountpoint)
	}
	slices.SortFunc(points, func(a, b string) int { return cmp.Compare(a, b) })
	return slices.Compact(points), nil
}

// tree returns every path below a folder; a folder that is not there is empty.
func tree(dir string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && path != dir {
			found = append(found, path)
		}
		return ignoreGone(err)
	})
	return found, err
}

func ignoreGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
