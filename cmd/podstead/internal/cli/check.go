package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/cmd/podstead/internal/intake"
	"github.com/podstead/podstead/cmd/podstead/internal/printer"
	"github.com/podstead/podstead/manifest"
	"github.com/podstead/podstead/manifest/policy"
	"github.com/podstead/podstead/pod"
)

func (a *App) checkCommand() *cobra.Command {
	var configFile string
	level := policy.Level{}
	c := &cobra.Command{
		Use:   "check [FILE|DIR...] [--config FILE]",
		Short: "Tell what podstead would say to manifests, or to a configuration, without asking it",
		Long: "Tell what podstead would say to manifests, or to a configuration, without asking it.\n\n" +
			"Every problem is one line: FILE:LINE:COL: FIELD: REASON: message. '-' reads the standard input.\n" +
			"The exit code is 1 if there is an error, 0 if there are none or only warnings.",
		Example: "  podstead check /etc/podstead/manifests\n  podstead check web.yaml --pod-security baseline\n" +
			"  podstead check --config /etc/podstead/config.yaml",
		RunE: func(_ *cobra.Command, args []string) error {
			if configFile == "" && len(args) == 0 {
				return errors.New("nothing to check: name manifests, folders of them, or --config FILE")
			}
			if err := level.Validate(); err != nil {
				return err
			}
			return a.check(configFile, args, level)
		},
	}
	c.Flags().StringVar(&configFile, "config", "", "a configuration file to check")
	c.Flags().StringVar(&level.PodSecurity, "pod-security", "privileged", "the Pod Security standard of the source: privileged, baseline or restricted")
	return c
}

func (a *App) check(configFile string, paths []string, level policy.Level) error {
	var problems []pod.Problem
	if configFile != "" {
		_, err := config.Load(configFile)
		var bad *config.Error
		switch {
		case errors.As(err, &bad):
			problems = append(problems, bad.Problems...)
		case err != nil:
			return err
		}
	}
	files, unreadable := a.readManifests(paths)
	problems = append(problems, unreadable...)
	problems = append(problems, intake.Check(files, level)...)
	for _, p := range problems {
		fmt.Fprintln(a.Out, printer.Clean(p.String()))
	}
	if slices.ContainsFunc(problems, func(p pod.Problem) bool { return p.Severity == pod.Error }) {
		return exitStatus(exitError)
	}
	return nil
}

// readManifests reads files as they are named, and of folders those that a
// directory source would read.
func (a *App) readManifests(paths []string) (files []intake.File, problems []pod.Problem) {
	failed := func(path string, err error) {
		problems = append(problems, pod.Problem{
			Origin: pod.Origin{File: path}, Severity: pod.Error, Reason: pod.ReasonUnreadable, Message: err.Error(),
		})
	}
	for _, path := range paths {
		inside, err := a.expand(path)
		if err != nil {
			failed(path, err)
			continue
		}
		for _, file := range inside {
			data, err := a.readManifest(file)
			if err != nil {
				failed(file, err)
				continue
			}
			files = append(files, intake.File{Name: file, Data: data})
		}
	}
	return files, problems
}

// expand lists the manifests of a folder by name; a file is itself.
func (a *App) expand(path string) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		file := filepath.Join(path, e.Name())
		if !manifestName(e.Name()) {
			continue
		}
		// A link counts as what it leads to.
		if info, err := os.Stat(file); err != nil || info.Mode().IsRegular() {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		return nil, errors.New("the folder has no manifests (*.yaml, *.yml, *.json)")
	}
	return files, nil
}

func manifestName(name string) bool {
	return !strings.HasPrefix(name, ".") && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name))
}

func (a *App) readManifest(file string) ([]byte, error) {
	in := a.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	// One byte more than allowed lets the parser say that it is too large.
	return io.ReadAll(io.LimitReader(in, manifest.DefaultMaxBytes+1))
}
