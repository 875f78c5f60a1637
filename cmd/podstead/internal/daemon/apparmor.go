package daemon

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/podstead/podstead/runtime/spec"
)

// appArmorText is containerd's default profile with marks where it depends on
// the host. It is not made by containerd's own function: that uses
// text/template, and with it the linker can't leave out any exported method of
// the program, a fifth of its size.
//
//go:embed apparmor.profile
var appArmorText string

const (
	appArmorDir      = "/etc/apparmor.d"
	appArmorProfiles = "/sys/kernel/security/apparmor/profiles"
	appArmorRemove   = "/sys/kernel/security/apparmor/.remove"
)

// appArmor tells whether the kernel confines by AppArmor, and which profiles
// are loaded; that of containers is loaded first if it is not.
func appArmor() (enabled bool, profiles []string, err error) {
	on, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	if err != nil || !strings.HasPrefix(string(on), "Y") {
		return false, nil, nil
	}
	text, err := os.ReadFile(appArmorProfiles)
	if err != nil {
		return false, nil, fmt.Errorf("list the AppArmor profiles: %w", err)
	}
	profiles = profileNames(string(text))
	if slices.Contains(profiles, spec.AppArmorDefault) {
		return true, profiles, nil
	}
	confined, err := os.ReadFile("/proc/self/attr/current")
	if err != nil {
		confined = nil // nobody is confined where that can't be read
	}
	if err := loadProfile(appArmorProfile(spec.AppArmorDefault, string(confined), appArmorDir)); err != nil {
		return false, nil, fmt.Errorf("load the AppArmor profile of containers (is apparmor_parser installed?): %w", err)
	}
	return true, append(profiles, spec.AppArmorDefault), nil
}

// unloadAppArmor removes the profile of containers from the kernel, unless a
// process is confined by it: another podstead may have loaded it too.
func unloadAppArmor() error {
	text, err := os.ReadFile(appArmorProfiles)
	if err != nil || !slices.Contains(profileNames(string(text)), spec.AppArmorDefault) {
		return nil //nolint:nilerr // there is no AppArmor here
	}
	processes, err := filepath.Glob("/proc/[0-9]*/attr/current")
	if err != nil {
		return err
	}
	for _, process := range processes {
		if confined, err := os.ReadFile(process); err == nil && strings.HasPrefix(string(confined), spec.AppArmorDefault+" ") {
			return nil
		}
	}
	if err := os.WriteFile(appArmorRemove, []byte(spec.AppArmorDefault), 0); err != nil {
		return fmt.Errorf("unload the AppArmor profile of containers: %w", err)
	}
	return nil
}

// profileNames reads lines of "name (mode)".
func profileNames(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		if i := strings.LastIndex(line, " ("); i > 0 {
			names = append(names, line[:i])
		}
	}
	return names
}

// appArmorProfile is the profile for a daemon that is confined as told, on a
// host with what dir has to include.
func appArmorProfile(name, confined, dir string) string {
	has := func(file string) bool { return exists(filepath.Join(dir, file)) }
	abi, tunables, base := "", "@{PROC}=/proc/", ""
	if has("abi/3.0") {
		abi = "abi <abi/3.0>,"
	}
	if has("tunables/global") {
		tunables = "#include <tunables/global>"
	}
	if has("abstractions/base") {
		base = "#include <abstractions/base>"
	}
	daemon, _, _ := strings.Cut(strings.TrimSpace(confined), " ")
	if daemon == "" {
		daemon = "unconfined"
	}
	return strings.NewReplacer("<ABI>", abi, "<TUNABLES>", tunables, "<BASE>", base, "<NAME>", name, "<DAEMON>", daemon).Replace(appArmorText)
}

// loadProfile hands a profile to the kernel.
func loadProfile(text string) error {
	f, err := os.CreateTemp("", spec.AppArmorDefault)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if out, err := exec.Command("apparmor_parser", "-Kr", f.Name()).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}
