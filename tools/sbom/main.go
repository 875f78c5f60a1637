// Sbom writes what Go programs were made of: a bill of materials in CycloneDX's
// JSON, and the licences of all modules. It reads both from the programs
// themselves, so they tell of what is shipped and not of what was meant:
//
//	sbom -version 1.2.3 -module DIR -bill FILE -licences FILE PROGRAM=PATH...
//
// PROGRAM is where a package puts the program. The time in the bill is that of
// SOURCE_DATE_EPOCH. The same programs give the same bytes.
package main

import (
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run() error {
	version := flag.String("version", "", "of the package")
	module := flag.String("module", ".", "folder of the module that the programs were built in")
	billFile := flag.String("bill", "", "where the bill of materials goes")
	licenceFile := flag.String("licences", "", "where the licences go")
	flag.Parse()
	programs, err := read(flag.Args())
	if err != nil {
		return err
	}
	at, err := epoch()
	if err != nil {
		return err
	}
	text, err := licences(*module, modules(programs))
	if err != nil {
		return err
	}
	return errors.Join(
		writeBill(*billFile, *version, at, programs),
		os.WriteFile(*licenceFile, text, 0o644),
	)
}

// program is one of the package, with what the toolchain wrote into it.
type program struct {
	installed, path string
	info            *debug.BuildInfo
}

func read(args []string) ([]program, error) {
	var programs []program
	for _, arg := range args {
		installed, path, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, fmt.Errorf("got %q, want PROGRAM=PATH", arg)
		}
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return nil, err
		}
		programs = append(programs, program{installed, path, info})
	}
	if len(programs) == 0 {
		return nil, errors.New("no program is named")
	}
	return programs, nil
}

// module is one in the version that was linked.
type module struct{ path, version string }

func (m module) String() string { return m.path + "@" + m.version }

// own is the module of the package; what is linked of it is the package itself.
const own = "github.com/podstead/podstead"

// linked are the modules of a program with Go's library, sorted. Of the own
// module and its folders that pose as others nothing is said.
func (p program) linked() []module {
	list := []module{{"std", strings.TrimPrefix(p.info.GoVersion, "go")}}
	for _, m := range append([]*debug.Module{&p.info.Main}, p.info.Deps...) {
		if m.Replace != nil {
			m = m.Replace
		}
		if m.Path != own && !strings.HasPrefix(m.Path, ".") {
			list = append(list, module{m.Path, m.Version})
		}
	}
	slices.SortFunc(list, func(a, b module) int { return strings.Compare(a.String(), b.String()) })
	return list
}

// modules are those of all programs, each once, sorted.
func modules(programs []program) []module {
	all := map[module]bool{}
	for _, p := range programs {
		for _, m := range p.linked() {
			all[m] = true
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b module) int { return strings.Compare(a.String(), b.String()) })
}

func epoch() (time.Time, error) {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
