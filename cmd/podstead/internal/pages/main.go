// Pages writes the manual pages of podstead's commands and of its
// configuration, and the completion for shells: pages DIR VERSION SECONDS, where
// the manual pages bear the date that is so many seconds after 1970.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/podstead/podstead/cmd/podstead/internal/cli"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pages:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("got %d arguments, want a folder, a version and seconds", len(args))
	}
	seconds, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return err
	}
	b := book{dir: args[0], source: "podstead " + args[1], date: time.Unix(seconds, 0).UTC()}
	for _, dir := range []string{b.dir, filepath.Join(b.dir, "man")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	app := &cli.App{In: os.Stdin, Out: io.Discard, Err: os.Stderr, Getenv: func(string) string { return "" }}
	root := app.Command()
	if err := b.commands(root); err != nil {
		return err
	}
	if err := b.configuration("docs/configuration.md"); err != nil {
		return err
	}
	return b.completion(root)
}

// book is what all pages have in common.
type book struct {
	dir    string
	source string
	date   time.Time
}

// commands writes a page for each command.
func (b book) commands(root *cobra.Command) error {
	root.DisableAutoGenTag = true
	return doc.GenManTreeFromOpts(root, doc.GenManTreeOptions{
		Path: filepath.Join(b.dir, "man"), CommandSeparator: "-",
		Header: &doc.GenManHeader{Section: "1", Date: &b.date, Source: b.source, Manual: "podstead"},
	})
}

// configuration writes the page of the configuration file.
func (b book) configuration(page string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	header := fmt.Sprintf("%% \"PODSTEAD-CONFIG\" \"5\" %q %q \"podstead\"\n", b.date.Format("Jan 2006"), b.source)
	markdown := header + "# NAME\npodstead-config \\- the configuration file of podstead\n\n" +
		"# SYNOPSIS\n**/etc/podstead/config.yaml**\n\n# DESCRIPTION\n" + manual(string(text)) +
		"\n# SEE ALSO\n**podstead-run(1)**, **podstead-check(1)**\n"
	// Long names and defaults can't be adjusted on both sides.
	roff := bytes.Replace(md2man.Render([]byte(markdown)), []byte("\n.SH"), []byte("\n.ad l\n.SH"), 1)
	return os.WriteFile(filepath.Join(b.dir, "man", "podstead-config.5"), roff, 0o644)
}

// completion writes what shells load.
func (b book) completion(root *cobra.Command) error {
	if err := root.GenBashCompletionFileV2(filepath.Join(b.dir, "podstead.bash"), true); err != nil {
		return err
	}
	if err := root.GenZshCompletionFile(filepath.Join(b.dir, "_podstead")); err != nil {
		return err
	}
	return root.GenFishCompletionFile(filepath.Join(b.dir, "podstead.fish"), true)
}
