package manifest

import (
	"bytes"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/podstead/podstead/pod"
)

var (
	yamlErrorLine = regexp.MustCompile(`^line (\d+): `)
	// grammarErrors name lines one too low, those of the scanner don't.
	grammarErrors = regexp.MustCompile(`^did not find expected (key|'-' indicator|',' or|node content|<)|^found (undefined tag handle|duplicate %|incompatible)`)
	// blockErrors name the line where the block began, not the one that does
	// not fit into it.
	blockErrors   = regexp.MustCompile(`did not find expected (key|'-' indicator)$`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.+)' referenced`)
)

// maxSearched is the largest section that is read several times to find the
// line of an error, in bytes.
const maxSearched = 64 << 10

// syntax makes a problem of the reader's message, which has a line at most
// and often not the one that a person has to mend.
func (s section) syntax(full string) *trouble {
	message := strings.TrimPrefix(full, "yaml: ")
	line := 1
	if m := yamlErrorLine.FindStringSubmatch(message); m != nil {
		message = message[len(m[0]):]
		line, _ = strconv.Atoi(m[1]) // digits, and few
	}
	if grammarErrors.MatchString(message) {
		line++
	}
	t := &trouble{reason: pod.ReasonSyntax}
	lines := bytes.Split(s.data, []byte{'\n'})
	switch m := unknownAnchor.FindStringSubmatch(message); {
	case strings.Contains(message, "exceeded max depth"), strings.Contains(message, "contains itself"):
		t.reason = pod.ReasonTooComplex
	case m != nil:
		line = find(lines, 1, func(text []byte) bool { return bytes.Contains(text, []byte("*"+m[1])) })
	case blockErrors.MatchString(message) && len(s.data) <= maxSearched:
		line = s.firstLineThatFails(full, lines)
		message += "; the indentation differs from that of the lines above, or a colon is missing"
	case strings.Contains(message, "tab character"), strings.Contains(message, "cannot start any token"):
		line = find(lines, line, isIndentedByTab)
		if isIndentedByTab(lines[min(line, len(lines))-1]) {
			message += "; YAML is indented by spaces, not tabs"
		}
	}
	t.message = message
	t.at = s.startOf(lines, line)
	return t
}

// find returns the number of the first line from start on that fits, start
// if none does.
func find(lines [][]byte, start int, fits func([]byte) bool) int {
	for i := start; i <= len(lines); i++ {
		if fits(lines[i-1]) {
			return i
		}
	}
	return start
}

func isIndentedByTab(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(text, " "), []byte{'\t'})
}

// firstLineThatFails finds the first line with which the reader complains as
// it does of the whole.
func (s section) firstLineThatFails(full string, lines [][]byte) int {
	_, same, _ := strings.Cut(full, "did not find")
	i := sort.Search(len(lines)-1, func(i int) bool {
		var n yaml.Node
		err := yaml.Unmarshal(bytes.Join(lines[:i+1], []byte{'\n'}), &n)
		return err != nil && strings.HasSuffix(err.Error(), "did not find"+same)
	})
	return i + 1
}

// startOf is the place of the first character of a line of the section that
// is no blank.
func (s section) startOf(lines [][]byte, line int) place {
	line = min(max(line, 1), len(lines))
	text := lines[line-1]
	column := len(text) - len(bytes.TrimLeft(text, " ")) + 1
	return place{s.line + line - 1, column}
}
