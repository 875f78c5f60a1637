package pod

import (
	"strconv"
	"strings"
	"time"
)

// The annotations of a Deployment or DaemonSet that say how its rollouts are
// watched. They stand in its own metadata, not in that of its template.
const (
	// AutoRollbackAnnotation is "false" for a workload whose failed revisions
	// stay, and "true" or left out for one that goes back to the last good
	// one.
	AutoRollbackAnnotation = "rollout.podstead.dev/auto-rollback"
	// WatchSecondsAnnotation is for how many seconds after it became ready a
	// new revision still counts as failed when it turns unhealthy.
	WatchSecondsAnnotation = "rollout.podstead.dev/watch-seconds"
)

// The range of the watch window, and what it is where the annotation is left
// out. With 0, a revision that became ready stays.
const (
	DefaultWatchWindow = time.Minute
	MaxWatchWindow     = 24 * time.Hour
)

// MaxReplicas is how many pods one workload may have, by its manifest or by a
// command: more than a server can run, and few enough to decide about at once.
const MaxReplicas = 1000

// AutoRollback tells whether a workload with these annotations goes back to
// its last good revision by itself when a new one fails.
func AutoRollback(annotations map[string]string) bool {
	return annotations[AutoRollbackAnnotation] != "false"
}

// WatchWindow is for how long a revision that became ready is watched: what
// the annotation says, DefaultWatchWindow where it says nothing valid.
func WatchWindow(annotations map[string]string) time.Duration {
	if window, ok := parseWatchWindow(annotations[WatchSecondsAnnotation]); ok {
		return window
	}
	return DefaultWatchWindow
}

func parseWatchWindow(text string) (time.Duration, bool) {
	seconds, err := strconv.ParseUint(text, 10, 32)
	window := time.Duration(seconds) * time.Second
	return window, err == nil && window <= MaxWatchWindow
}

// ValidRolloutAnnotation tells whether the value of one of the annotations
// above is one that it may have.
func ValidRolloutAnnotation(key, value string) bool {
	switch key {
	case AutoRollbackAnnotation:
		return value == "true" || value == "false"
	case UpdateOrderAnnotation:
		return value == StartFirst || value == StopFirst
	case WatchSecondsAnnotation:
		_, ok := parseWatchWindow(value)
		return ok
	}
	return false
}

// domain is the one that podstead's own annotations are in.
const domain = "podstead.dev"

// IsOwnAnnotation tells keys that only podstead gives a meaning.
func IsOwnAnnotation(key string) bool {
	prefix, _, found := strings.Cut(key, "/")
	return found && (prefix == domain || strings.HasSuffix(prefix, "."+domain))
}
