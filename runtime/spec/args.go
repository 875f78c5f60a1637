package spec

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/podstead/podstead/pod"
)

// maxArgBytes bounds arguments and environment together; the kernel takes 2
// MiB of both and their pointers at the usual stack limit. maxStringBytes is
// the kernel's MAX_ARG_STRLEN, the end of the string included.
const (
	maxArgBytes    = 1 << 20
	maxStringBytes = 128 << 10
)

// args puts command and args over the image's ENTRYPOINT and CMD: a command
// replaces both, args alone replace CMD. Only what the pod says is expanded.
func (b *builder) args(vars map[string]string) ([]string, error) {
	command, err := b.expandAll("command", b.c.Command, vars)
	if err != nil {
		return nil, err
	}
	args, err := b.expandAll("args", b.c.Args, vars)
	if err != nil {
		return nil, err
	}
	if len(b.c.Command) == 0 {
		command = b.in.Image.Entrypoint
		if len(b.c.Args) == 0 {
			args = b.in.Image.Cmd
		}
	}
	all := slices.Concat(command, args)
	if len(all) == 0 || all[0] == "" {
		return nil, b.refuse(reasonCreate, "command", "no command: neither the pod nor the image %s names a program to run", b.imageName())
	}
	return all, nil
}

func (b *builder) expandAll(field string, list []string, vars map[string]string) ([]string, error) {
	lookup := func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
	out := make([]string, 0, len(list))
	size := 0
	for i, s := range list {
		s, fits := pod.Expand(s, lookup, maxArgBytes)
		if size += len(s) + 1; !fits || size > maxArgBytes {
			return nil, b.tooBig(field, "the arguments up to number "+strconv.Itoa(i))
		}
		out = append(out, s)
	}
	return out, nil
}

// checkSize refuses what execve would refuse, with a name to it.
func (b *builder) checkSize(args, env []string) error {
	total := 0
	for i, s := range slices.Concat(args, env) {
		what := "argument " + strconv.Itoa(i)
		field := "args"
		if i >= len(args) {
			name, _, _ := strings.Cut(s, "=")
			what, field = "variable "+quote(name), "env"
		}
		if strings.IndexByte(s, 0) >= 0 {
			return b.refuse(reasonCreate, field, "%s contains a NUL byte, at which the kernel would cut it", what)
		}
		if len(s) >= maxStringBytes {
			return b.refuse(reasonCreate, field, "E2BIG: %s has %d bytes, at most %d are possible", what, len(s), maxStringBytes-1)
		}
		total += len(s) + 1
	}
	if total > maxArgBytes {
		return b.tooBig("env", "arguments and environment together")
	}
	return nil
}

func (b *builder) tooBig(field, what string) error {
	return b.refuse(reasonCreate, field, "E2BIG: %s have more than the %d bytes that are possible", what, maxArgBytes)
}

// cwd is the pod's workingDir, else the image's, else the root. Kernel
// folders are kept out: through /proc/self/fd a runtime's open files have
// been reached (CVE-2024-21626).
func (b *builder) cwd() (string, error) {
	dir, field := b.c.WorkingDir, "workingDir"
	if dir == "" {
		dir, field = b.in.Image.WorkingDir, "/config.WorkingDir"
	}
	if dir == "" {
		return "/", nil
	}
	if !path.IsAbs(dir) || strings.IndexByte(dir, 0) >= 0 {
		return "", b.refuse(reasonCreate, field, "got %s, want an absolute path", quote(dir))
	}
	clean := path.Clean(dir)
	for _, kernel := range []string{"/proc", "/dev"} {
		if within(kernel, clean) {
			return "", b.refuse(reasonCreate, field, "got %s, want a folder outside of %s", quote(dir), kernel)
		}
	}
	return clean, nil
}

// within tells whether clean path p is dir or below it.
func within(dir, p string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}

// quote shows a value of any length and content in an error.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%q... (%d bytes)", s[:most], len(s))
	}
	return strconv.Quote(s)
}
