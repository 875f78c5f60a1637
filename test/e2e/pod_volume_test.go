package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/podstead/podstead/test/harness"
)

var volumeRows = []row{
	{"Row44_EmptyDirIsSharedAndHasItsModes", emptyDirModes},
	{"Row44_EmptyDirInMemoryHasItsSize", emptyDirInMemory},
	{"Row44_EmptyDirBelongsToTheFSGroup", emptyDirGroup},
	{"Row45_HostPathTypes", hostPathTypes},
	{"Row45_HostPathIsWaitedFor", hostPathWaits},
	{"Row45_HostPathSubPathAndReadOnly", hostPathReadOnly},
}

func emptyDirModes(t *testing.T, h *harness.Host) {
	runs(h, "modes", manifest("modes", fmt.Sprintf(`  securityContext: {runAsUser: 1000, runAsGroup: 1000}
  volumes:
  - {name: v, emptyDir: {}}
  containers:
  - {name: other, image: %[1]s, command: %[2]s, volumeMounts: [{name: v, mountPath: /elsewhere}]}
  - {name: app, image: %[1]s, command: %[3]s, volumeMounts: [{name: v, mountPath: /v}]}
`, shell, script("echo from other > /elsewhere/file"), script(
		"stat -c 'mode %a owner %u:%g' /v", "until cat /v/file 2>/dev/null; do sleep 0.1; done", "echo mine > /v/own && stat -c 'file %u:%g' /v/own"))))
	says(t, h, "modes", "mode 777 owner 0:0", "from other", "file 1000:1000")
}

func emptyDirInMemory(t *testing.T, h *harness.Host) {
	runs(h, "tmpfs", simple("tmpfs", script(
		"stat -c 'mode %a' /v", "stat -f -c 'type %T' /v", "df -k /v | awk 'NR==2 {print \"size \" $2}'",
		"head -c 9000000 /dev/zero > /v/big || echo full"),
		"volumes:\n- {name: v, emptyDir: {medium: Memory, sizeLimit: 8Mi}}\n", "volumeMounts:\n- {name: v, mountPath: /v}\n"))
	says(t, h, "tmpfs", "mode 777", "type tmpfs", "size 8192", "full")
}

func emptyDirGroup(t *testing.T, h *harness.Host) {
	runs(h, "fsgroup", simple("fsgroup", script(
		"for d in /disk /mem; do echo own > $d/f && stat -c \"$d %a %g\" $d && stat -c \"$d/f %u:%g\" $d/f; done", "id"),
		"securityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 5000}\nvolumes:\n- {name: disk, emptyDir: {}}\n- {name: mem, emptyDir: {medium: Memory}}\n",
		"volumeMounts:\n- {name: disk, mountPath: /disk}\n- {name: mem, mountPath: /mem}\n"))
	says(t, h, "fsgroup", "/disk 2777 5000", "/disk/f 1000:5000", "/mem 2777 5000", "/mem/f 1000:5000")
}

// hostPath is a pod with a hostPath of a type.
func hostPath(name, path, kind, command string) string {
	return simple(name, command, fmt.Sprintf("volumes:\n- {name: v, hostPath: {path: %s, type: %s}}\n", path, kind),
		"volumeMounts:\n- {name: v, mountPath: /v}\n")
}

func hostPathTypes(t *testing.T, h *harness.Host) {
	dir := folder(t, h, "types")
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("content\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	good := []struct{ name, path, kind, want string }{
		{"type-directory", dir, "Directory", "directory"},
		{"type-made-directory", dir + "/new/directory", "DirectoryOrCreate", "directory"},
		{"type-file", dir + "/file", "File", "regular file"},
		{"type-made-file", dir + "/newfile", "FileOrCreate", "regular empty file"},
		{"type-socket", dir + "/socket", "Socket", "socket"},
		{"type-device", "/dev/null", "CharDevice", "character special file"},
		{"type-unset", dir, `""`, "directory"},
	}
	for _, c := range good {
		h.Write(c.name+".yaml", hostPath(c.name, c.path, c.kind, script("stat -c %F /v")))
	}
	bad := []struct{ name, path, kind, want string }{
		{"type-file-is-directory", dir, "File", "is a directory, want a file"},
		{"type-directory-is-file", dir + "/file", "Directory", "is a file, want a directory"},
		{"type-no-socket", dir + "/file", "Socket", "is a file, want a socket"},
		{"type-no-device", dir + "/file", "BlockDevice", "is a file, want a block device"},
	}
	for _, c := range bad {
		h.Write(c.name+".yaml", hostPath(c.name, c.path, c.kind, script()))
	}
	for _, c := range good {
		says(t, h, c.name, c.want)
	}
	for _, c := range bad {
		waiting(h, c.name, "ContainerCreating", c.want)
	}
	for path, mode := range map[string]os.FileMode{"new/directory": os.ModeDir | 0o755, "newfile": 0o644} {
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode() != mode {
			t.Errorf("%s was made as %v, %v, want %v", path, info, err, mode)
		}
	}
}

func hostPathWaits(t *testing.T, h *harness.Host) {
	path := filepath.Join(h.Data, "comes-later")
	h.Write("later.yaml", hostPath("later", path, "Directory", script("echo here")))
	waiting(h, "later", "ContainerCreating", "found nothing there, want a directory")
	folder(t, h, "comes-later")
	says(t, h, "later", "here")
}

func hostPathReadOnly(t *testing.T, h *harness.Host) {
	dir := folder(t, h, "shared")
	runs(h, "readonly", simple("readonly", script("echo written > /rw/file", "cat /ro/sub/file", "echo no > /ro/file || echo refused"),
		fmt.Sprintf("volumes:\n- {name: v, hostPath: {path: %s}}\n", dir),
		"volumeMounts:\n- {name: v, mountPath: /ro, readOnly: true}\n- {name: v, mountPath: /rw, subPath: sub}\n"))
	says(t, h, "readonly", "written", "refused")
	if text, err := os.ReadFile(filepath.Join(dir, "sub/file")); err != nil || string(text) != "written\n" {
		t.Errorf("on the host the file has %q, %v", text, err)
	}
}
