package network

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// process is who holds a socket.
type process struct {
	pid  int
	name string
}

// findProcesses fills in who holds each socket, by its inode. It looks
// through the processes in order and ends when all are found.
func findProcesses(ctx context.Context, sockets map[uint32]process) error {
	if len(sockets) == 0 {
		return nil
	}
	pids, err := processes()
	if err != nil {
		return err
	}
	left := len(sockets)
	for _, pid := range pids {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, inode := range socketsOf(pid) {
			if p, wanted := sockets[inode]; wanted && p.pid == 0 {
				sockets[inode] = process{pid, nameOf(pid)}
				left--
			}
		}
		if left == 0 {
			break
		}
	}
	return nil
}

func processes() ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// socketsOf returns the inodes of the sockets that a process holds; none for
// one that is gone.
func socketsOf(pid int) []uint32 {
	folder := "/proc/" + strconv.Itoa(pid) + "/fd/"
	dir, err := os.Open(folder)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var inodes []uint32
	for _, name := range names {
		target, err := os.Readlink(folder + name)
		if err != nil {
			continue
		}
		text, isSocket := strings.CutPrefix(target, "socket:[")
		if inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 32); isSocket && err == nil {
			inodes = append(inodes, uint32(inode))
		}
	}
	return inodes
}

func nameOf(pid int) string {
	name, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return strings.TrimSpace(string(name))
}

// podOf returns the pod whose cgroup, such as /podstead/burstable/podUID, a
// process is in.
func podOf(pid int, root string) types.UID {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		// A podstead in a container sees the path of its own cgroup before.
		_, below, ours := strings.Cut(parts[2], path.Clean(root)+"/")
		for part := range strings.SplitSeq(below, "/") {
			if uid, ok := strings.CutPrefix(part, "pod"); ours && ok {
				return types.UID(uid)
			}
		}
	}
	return ""
}
