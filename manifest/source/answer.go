package source

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"

	"github.com/podstead/podstead/pod"
)

// answer is a usable answer of a server.
type answer struct {
	// unchanged: the server says that nothing changed (304).
	unchanged  bool
	body       []byte
	validators validators
}

// validators let the server answer that nothing changed.
type validators struct{ etag, lastModified string }

// contentTypes are those that servers give YAML and JSON. Many have none for
// YAML at all and send their general ones.
var contentTypes = []string{
	"application/json", "application/yaml", "application/x-yaml", "application/vnd.yaml",
	"text/yaml", "text/x-yaml", "text/vnd.yaml", "text/plain", "text/json",
	"application/octet-stream", "application/text", "binary/octet-stream",
}

// checkBody refuses what is no manifest at all, such as the page of a captive
// portal.
func checkBody(contentType string, body []byte) *rejection {
	if contentType != "" {
		kind, _, err := mime.ParseMediaType(contentType)
		suffix := strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+yaml")
		if err != nil || !suffix && !slices.Contains(contentTypes, kind) {
			return &rejection{ReasonContentType, fmt.Errorf("content type %q (want YAML, JSON or text/plain)", contentType)}
		}
	}
	start := bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case len(body) == 0:
		return &rejection{ReasonEmpty, errors.New("the answer has no bytes (want objects, or a List of them; one without items removes all)")}
	case len(start) == 0:
		return &rejection{ReasonEmpty, errors.New("the answer is blank (want objects, or a List of them; one without items removes all)")}
	case start[0] == '<':
		return &rejection{ReasonContentType, errors.New("the answer looks like HTML or XML (want YAML or JSON)")}
	}
	return nil
}

// rejectAnswer refuses answers of which not a single object can be told: the
// server does not mean us. One of which some objects can be told is used.
func rejectAnswer(parsed Parsed) *rejection {
	if len(parsed.All()) > 0 {
		return nil
	}
	for _, f := range parsed.Failed {
		if f.Key != (pod.ObjectKey{}) {
			return nil
		}
	}
	for _, p := range parsed.Problems {
		switch {
		case p.Severity != pod.Error:
		case p.Reason == pod.ReasonEmpty:
			return &rejection{ReasonEmpty, errors.New("the answer holds no object (want objects, or a List of them; one without items removes all)")}
		default:
			return &rejection{ReasonParse, fmt.Errorf("no object can be told from the answer: line %d: %s: %s", p.Origin.Line, p.Reason, p.Message)}
		}
	}
	return nil
}
