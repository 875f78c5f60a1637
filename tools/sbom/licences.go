package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// licence matches the files that modules keep their terms in.
var licence = regexp.MustCompile(`(?i)^(licen[cs]es?|copying|notice|copyright|patents|authors)([.-].*)?$`)

// licences is one text with the terms of every module. A module without any is
// an error: what bears no licence must not be shipped.
func licences(dir string, list []module) ([]byte, error) {
	folders, err := moduleFolders(dir)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, m := range list {
		folder, ok := folders[m]
		if m.path == "std" {
			folder, ok = folders[module{path: "std"}], true
		}
		if !ok {
			return nil, fmt.Errorf("module %s was linked and is none of those that go list knows in %s", m, dir)
		}
		if err := terms(&out, m, folder); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

func terms(out *bytes.Buffer, m module, folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	found := false
	for _, e := range entries {
		if e.IsDir() || !licence.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		found = true
		fmt.Fprintf(out, "==== %s: %s\n\n%s\n\n", m, e.Name(), bytes.TrimSpace(text))
	}
	if !found {
		return fmt.Errorf("module %s has no licence in %s", m, folder)
	}
	return nil
}

// moduleFolders is where the sources of each module are, and those of Go's
// library.
func moduleFolders(dir string) (map[module]string, error) {
	goRoot, err := goCommand(dir, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	folders := map[module]string{{path: "std"}: strings.TrimSpace(goRoot)}
	lines, err := goCommand(dir, "list", "-m", "-f", "{{with .Replace}}{{.Path}} {{.Version}} {{.Dir}}{{else}}{{.Path}} {{.Version}} {{.Dir}}{{end}}", "all")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(lines) {
		if fields := strings.Fields(line); len(fields) == 3 {
			folders[module{fields[0], fields[1]}] = fields[2]
		}
	}
	return folders, nil
}

func goCommand(dir string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return string(out), nil
}
