package daemon

import (
	"fmt"
	"maps"
	"math"
	"os"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/pkg/cap"
	"github.com/containerd/containerd/v2/pkg/oci"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/spec"
)

// now reads CLOCK_BOOTTIME and the wall clock.
func now() pod.Stamp {
	var t unix.Timespec
	// The clock is there since Linux 2.6.39, so the call can't fail.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t)
	return pod.Stamp{Moment: pod.Moment(t.Nano()), Wall: time.Now()}
}

func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot's id: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}

// node describes this server.
func node(c *config.Configuration, id, boot string) (pod.Node, error) {
	ips, err := network.HostIPs()
	if err != nil {
		return pod.Node{}, fmt.Errorf("read the host's addresses: %w", err)
	}
	capacity, err := capacity()
	if err != nil {
		return pod.Node{}, err
	}
	allocatable := capacity.DeepCopy()
	for name, reserved := range map[corev1.ResourceName]config.Quantity{
		corev1.ResourceCPU: c.Reserved.CPU, corev1.ResourceMemory: c.Reserved.Memory,
	} {
		left := allocatable[name]
		left.Sub(reserved.Quantity)
		if left.Sign() <= 0 {
			all := capacity[name]
			return pod.Node{}, fmt.Errorf("reserved.%s: got %s, want less than the %s that this server has",
				name, reserved.String(), all.String())
		}
		allocatable[name] = left
	}
	return pod.Node{ID: id, Name: c.NodeName, Labels: nodeLabels(c), HostIPs: ips, Capacity: capacity, Allocatable: allocatable, BootID: boot}, nil
}

// nodeLabels are those that every node of Kubernetes has, and the configured
// ones.
func nodeLabels(c *config.Configuration) map[string]string {
	labels := map[string]string{
		corev1.LabelHostname: c.NodeName, corev1.LabelOSStable: goruntime.GOOS, corev1.LabelArchStable: goruntime.GOARCH,
	}
	maps.Copy(labels, c.Node.Labels)
	return labels
}

func capacity() (corev1.ResourceList, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return nil, fmt.Errorf("read the size of the memory: %w", err)
	}
	return corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewQuantity(int64(goruntime.NumCPU()), resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(int64(info.Totalram)*int64(info.Unit), resource.BinarySI),
	}, nil
}

// podTasks is how many processes and threads all pods may have together: what
// the kernel lets the whole server have, less what is reserved.
func podTasks(reserved int64) (int64, error) {
	all := int64(math.MaxInt64)
	for _, name := range []string{"pid_max", "threads-max"} {
		text, err := os.ReadFile("/proc/sys/kernel/" + name)
		if err != nil {
			return 0, fmt.Errorf("read how many processes there may be: %w", err)
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read how many processes there may be: %w", err)
		}
		all = min(all, n)
	}
	if reserved >= all {
		return 0, fmt.Errorf("reserved.pids: got %d, want less than the %d that this server can have", reserved, all)
	}
	return all - reserved, nil
}

// totalMemory is what all pods may use together, 0 for no bound: then nothing
// is reserved.
func totalMemory(n pod.Node) int64 {
	if allocatable := n.Allocatable.Memory(); allocatable.Cmp(*n.Capacity.Memory()) < 0 {
		return allocatable.Value()
	}
	return 0
}

// hostFacts is what OCI specs depend on beside the pod. child tells that
// containerd is our child, and so has our capabilities.
func hostFacts(v2, child bool) (spec.Host, error) {
	h := spec.Host{CgroupV2: v2, Seccomp: exists("/proc/sys/kernel/seccomp/actions_avail"), CPUs: possibleCPUs()}
	var err error
	if h.Capabilities, err = capabilities(child); err != nil {
		return h, fmt.Errorf("read which capabilities containers can have: %w", err)
	}
	if h.OOMScoreAdjMin, err = lowestOOMScore(h.Capabilities); err != nil {
		return h, err
	}
	if h.Devices, err = oci.HostDevices(); err != nil {
		return h, fmt.Errorf("list the host's devices: %w", err)
	}
	h.AppArmor, h.AppArmorProfiles, err = appArmor()
	return h, err
}

// capabilities are those that containers can have at most: containerd's. One
// that a unit started has what the first process may pass on, while podstead's
// own unit leaves it only what it needs itself.
func capabilities(child bool) ([]string, error) {
	if child {
		return cap.Current()
	}
	f, err := os.Open("/proc/1/status")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sets, err := cap.ParseProcPIDStatus(f)
	names, _ := cap.FromBitmap(sets[cap.Bounding])
	return names, err
}

// lowestOOMScore is the floor that the kernel sets to the oom_score_adj of our
// children: our own, unless we may use the host's resources freely.
func lowestOOMScore(capabilities []string) (*int, error) {
	if slices.Contains(capabilities, "CAP_SYS_RESOURCE") {
		return nil, nil
	}
	score, err := ownOOMScore()
	if err != nil || score <= oomScore {
		return nil, err
	}
	return &score, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// possibleCPUs reads the kernel's list of possible CPUs, such as 0-3.
func possibleCPUs() int {
	text, err := os.ReadFile("/sys/devices/system/cpu/possible")
	if err != nil {
		return goruntime.NumCPU()
	}
	list := strings.TrimSpace(string(text))
	last, err := strconv.Atoi(list[strings.LastIndexAny(list, "-,")+1:])
	if err != nil {
		return goruntime.NumCPU()
	}
	return last + 1
}
