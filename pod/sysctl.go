package pod

import "strings"

// SysctlName returns the name of a kernel setting with dots between its parts.
// Both "kernel.shm_rmid_forced" and "kernel/shm_rmid_forced" are written; as
// with sysctl(8) the first separator decides, and the other one then stands
// for itself inside of a part.
func SysctlName(name string) string {
	first := strings.IndexAny(name, "./")
	if first < 0 || name[first] == '.' {
		return name
	}
	return swapSeparators(name)
}

// SysctlPath returns the path of a kernel setting below /proc/sys; a name is
// written as for SysctlName.
func SysctlPath(name string) string {
	return swapSeparators(SysctlName(name))
}

func swapSeparators(name string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, name)
}
