package validation

import (
	_ "crypto/sha256" // digests can only be judged by algorithms that are linked in
	_ "crypto/sha512"
	"errors"
	"strings"
	"unicode"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

const imageForm = "[REGISTRY[:PORT]/]NAME[:TAG][@DIGEST], such as nginx:1.27"

// image checks that a name can be resolved as containerd and Docker would.
func (c *checker) image(name string, at *field.Path) {
	if name == "" {
		c.refuse(at, pod.ReasonInvalidImage, finding{message: "is required", want: imageForm})
		return
	}
	if strings.ContainsFunc(name, unicode.IsSpace) {
		c.refuse(at, pod.ReasonInvalidImage, finding{"has a space or line break", quote(name), imageForm})
		return
	}
	if _, err := reference.ParseNormalizedNamed(name); err != nil {
		f := imageFinding(name, err)
		f.got = quote(name)
		c.refuse(at, pod.ReasonInvalidImage, f)
	}
}

// imageFinding puts the parser's error into words that say what to mend.
func imageFinding(name string, err error) finding {
	switch {
	case errors.Is(err, reference.ErrNameContainsUppercase), hasUpperName(name):
		return finding{message: "has capital letters in its name", want: strings.ToLower(beforeTag(name)) + " in small letters"}
	case errors.Is(err, reference.ErrNameTooLong):
		return finding{message: "is too long", want: "a name of at most 255 characters"}
	case errors.Is(err, digest.ErrDigestInvalidLength):
		return finding{message: "has a digest of the wrong length", want: "64 hexadecimal digits after @sha256:"}
	case errors.Is(err, digest.ErrDigestUnsupported):
		return finding{message: "has a digest of an unknown algorithm", want: "@sha256: or @sha512:"}
	case strings.Contains(name, "://"):
		return finding{message: "is a URL", want: "the name without " + name[:strings.Index(name, "://")+3]}
	case strings.Contains(name, "@"):
		return finding{message: "has a name or digest that can't be read", want: "NAME@sha256: and 64 hexadecimal digits"}
	default:
		return finding{message: "is no image name", want: imageForm}
	}
}

// beforeTag returns the name without tag and digest.
func beforeTag(name string) string {
	name, _, _ = strings.Cut(name, "@")
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		name = name[:i]
	}
	return name
}

// hasUpperName tells whether capital letters are the trouble: the parser
// calls most such names malformed.
func hasUpperName(name string) bool {
	path := beforeTag(name)
	if _, err := reference.ParseNormalizedNamed(path); err == nil {
		return false
	}
	_, err := reference.ParseNormalizedNamed(strings.ToLower(path))
	return err == nil
}
