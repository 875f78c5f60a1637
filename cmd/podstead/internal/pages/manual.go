package main

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	relative = regexp.MustCompile(`\[([^\]]+)\]\([^):]+\)`)
	heading  = regexp.MustCompile(`^(#+) (.+)$`)
	row      = regexp.MustCompile(`^\| (.+) \|$`)
	ruler    = regexp.MustCompile(`^\|[-|]+\|$`)
)

// manual turns a page of the documentation into the body of a manual page: the
// title goes, headings move up by a level, links to other pages become their
// text, and the rows of tables become entries, since a terminal can't wrap cells.
func manual(page string) string {
	var out strings.Builder
	var columns []string
	for line := range strings.Lines(page) {
		line = relative.ReplaceAllString(strings.TrimSuffix(line, "\n"), "$1")
		cells := row.FindStringSubmatch(line)
		switch h := heading.FindStringSubmatch(line); {
		case h != nil && h[1] == "#":
		case h != nil && h[1] == "##":
			out.WriteString("# " + strings.ToUpper(h[2]) + "\n")
		case h != nil:
			out.WriteString(h[1][1:] + " " + h[2] + "\n")
		case ruler.MatchString(line):
		case cells == nil:
			columns = nil
			out.WriteString(line + "\n")
		case columns == nil:
			columns = strings.Split(cells[1], " | ")
		default:
			out.WriteString(entry(columns, strings.SplitN(cells[1], " | ", len(columns))))
		}
	}
	return out.String()
}

// entry is a row of a table: the first cell names it, the last one says what it
// is, those between follow the name.
func entry(columns, cells []string) string {
	name := "**" + strings.Trim(cells[0], "`") + "**"
	for i := 1; i < len(cells)-1; i++ {
		name += fmt.Sprintf(" (%s: %s)", strings.ToLower(columns[i]), strings.ReplaceAll(cells[i], "`", ""))
	}
	return name + "\n: " + cells[len(cells)-1] + "\n\n"
}
