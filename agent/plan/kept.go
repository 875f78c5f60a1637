package plan

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"

	"github.com/podstead/podstead/pod"
)

// ImageSettings bound what images may take of the disk.
type ImageSettings struct {
	// High and Low are percentages of the disk: when so much is used, unused
	// images are removed until no more than Low is. 100 for High: never.
	High, Low int
	// MinimumAge is how long an image must have been unused to be removed.
	MinimumAge time.Duration
	// MaximumAge is after how long an unused image is removed although there
	// is room; 0 for never.
	MaximumAge time.Duration
	// Pinned are patterns of the names of images that are never removed.
	Pinned []string
}

// DefaultImageSettings are the kubelet's.
func DefaultImageSettings() ImageSettings {
	return ImageSettings{High: 85, Low: 80, MinimumAge: 2 * time.Minute}
}

// Uses are what images are needed for; each value names a pod.
type Uses struct {
	// Digests are of containers, dead ones included, and of those to come.
	Digests map[string]string
	// Names are wanted by manifests, as they write them.
	Names map[string]string
	// Revisions are names in revisions of workloads which run, are to run or
	// can be gone back to; each value names a workload.
	Revisions map[string]string
	// Pulling are names that are being fetched.
	Pulling []string
	// Good are digests that a pod ran well before what it runs now.
	Good map[string]string
}

// Kept says for each image, by digest, why it has to stay. One that is not in
// it may be removed.
func (s ImageSettings) Kept(stored []pod.StoredImage, u Uses) map[string]string {
	kept := map[string]string{}
	for _, img := range stored {
		if why := s.kept(img, u); why != "" {
			kept[img.Digest] = why
		}
	}
	return kept
}

func (s ImageSettings) kept(img pod.StoredImage, u Uses) string {
	if who, used := u.Digests[img.Digest]; used {
		return pod.KeptUsed + who
	}
	for name, who := range u.Names {
		if bears(img, name) {
			return pod.KeptWanted + who
		}
	}
	for name, who := range u.Revisions {
		if bears(img, name) {
			return pod.KeptRevision + who
		}
	}
	for _, name := range u.Pulling {
		if bears(img, name) {
			return "being pulled"
		}
	}
	if img.Pinned != "" {
		return img.Pinned
	}
	for _, pattern := range s.Pinned {
		if slices.ContainsFunc(img.Names, func(name string) bool { return Matches(pattern, name) }) {
			return "pinned by " + pattern
		}
	}
	if who, good := u.Good[img.Digest]; good {
		return "the last good one of pod " + who
	}
	return ""
}

// bears tells whether a name as people write it means an image.
func bears(img pod.StoredImage, name string) bool {
	named, err := reference.ParseDockerRef(name)
	if err != nil {
		return false
	}
	if digested, ok := named.(reference.Digested); ok && digested.Digest().String() == img.Digest {
		return true
	}
	return slices.Contains(img.Names, named.String())
}

// Matches tells whether a normalised name of an image matches a pattern of
// path.Match, with or without its tag or digest. A pattern without a registry
// means docker.io, as names do.
func Matches(pattern, name string) bool {
	pattern = fullPattern(pattern)
	repository, _, _ := strings.Cut(name, "@")
	if cut := strings.LastIndexByte(repository, ':'); cut > strings.LastIndexByte(repository, '/') {
		repository = repository[:cut]
	}
	for _, text := range []string{name, repository} {
		if ok, err := path.Match(pattern, text); ok && err == nil {
			return true
		}
	}
	return false
}

func fullPattern(pattern string) string {
	first, _, slash := strings.Cut(pattern, "/")
	switch {
	case !slash:
		return "docker.io/library/" + pattern
	case strings.ContainsAny(first, ".:*?[") || first == "localhost":
		return pattern
	default:
		return "docker.io/" + pattern
	}
}
