package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/podstead/podstead/pod"
)

// maxFile is more than any configuration needs, in bytes.
const maxFile = 1 << 20

// Error is a configuration that can't be used, with all that is wrong.
type Error struct {
	File     string
	Problems []pod.Problem
}

// Error has one line per problem.
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	lines = append(lines, fmt.Sprintf("%s can't be used as configuration:", e.File))
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// Load reads a file. A configuration that can't be used is an *Error.
func Load(file string) (*Configuration, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, unreadable(file, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, unreadable(file, err)
	}
	return Parse(data, file)
}

func unreadable(file string, err error) error {
	return &Error{File: file, Problems: []pod.Problem{{
		Origin: pod.Origin{File: file}, Severity: pod.Error, Reason: pod.ReasonUnreadable, Message: err.Error(),
	}}}
}

// Parse decodes, fills in defaults and validates. What is wrong is told all
// at once, in the order of the file. Programs that the file does not name
// are those that belong to the running one.
func Parse(data []byte, file string) (*Configuration, error) {
	d := &decoder{file: file, at: map[string]*yaml.Node{}}
	c := &Configuration{}
	if root := d.document(data); root != nil {
		d.value(root, reflect.ValueOf(c).Elem(), "")
		c.setDefaults(programs())
		if root.Kind == yaml.MappingNode {
			(&validator{decoder: d}).configuration(c)
		}
	}
	if len(d.problems) == 0 {
		return c, nil
	}
	slices.SortStableFunc(d.problems, func(a, b pod.Problem) int {
		return cmp.Or(cmp.Compare(a.Origin.Line, b.Origin.Line), cmp.Compare(a.Origin.Column, b.Origin.Column),
			cmp.Compare(a.Field, b.Field))
	})
	return nil, &Error{File: file, Problems: d.problems}
}

// programs is the folder of the programs that belong to the running one.
func programs() string {
	exe, err := os.Executable()
	if err != nil {
		return packagedPrograms
	}
	return programsOf(exe, func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	})
}

// packagedPrograms is where the packages put what nobody calls by hand.
const packagedPrograms = "/usr/libexec/podstead"

// programsOf is the folder of the programs that belong to a podstead. They lie
// beside it or, where the system's programs are around it, in libexec: a
// containerd in /usr/bin is not ours. The logger tells, since nobody else has
// one.
func programsOf(exe string, exists func(path string) bool) string {
	dir := filepath.Dir(exe)
	if base := filepath.Base(dir); (base == "bin" || base == "sbin") && !exists(filepath.Join(dir, "podstead-logger")) {
		return filepath.Join(filepath.Dir(dir), "libexec", "podstead")
	}
	return dir
}

// document returns the root of the file's one document, nil after noting why
// there is none.
func (d *decoder) document(data []byte) *yaml.Node {
	start := &yaml.Node{Line: 1, Column: 1}
	if len(data) > maxFile {
		d.problem(start, "", pod.ReasonTooLarge, "the file is too large", "", strconv.Itoa(maxFile)+" bytes at most")
		return nil
	}
	in := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := in.Decode(&doc); {
	case errors.Is(err, io.EOF):
		d.problem(start, "", pod.ReasonEmpty, "the file holds no configuration", "", "apiVersion: "+APIVersion)
		return nil
	case err != nil:
		d.syntax(err)
		return nil
	}
	switch err := in.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		d.syntax(err)
	default:
		d.problem(second.Content[0], "", pod.ReasonInvalid, "a second document starts here", "", "one document")
	}
	return doc.Content[0]
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

func (d *decoder) syntax(err error) {
	at, message := &yaml.Node{}, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		// The pattern admits digits only.
		at.Line, _ = strconv.Atoi(m[1])
		at.Column = 1
		message = strings.TrimPrefix(err.Error(), m[0])
	}
	d.problem(at, "", pod.ReasonSyntax, message, "", "")
}
