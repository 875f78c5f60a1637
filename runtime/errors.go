package runtime

import (
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"google.golang.org/grpc/status"

	"github.com/podstead/podstead/pod"
)

// failed wraps an error of containerd with what was tried and on what. A
// containerd that can't be reached makes it wrap pod.ErrUnavailable.
func failed(verb, object string, err error) error {
	err = native(err)
	if errdefs.IsUnavailable(err) {
		return fmt.Errorf("%s %q: containerd: %w: %w", verb, object, pod.ErrUnavailable, err)
	}
	return fmt.Errorf("%s %q: %w", verb, object, err)
}

// native turns what came over the wire into the classes of errdefs. Some
// calls have done so themselves, and would lose the class if it was done again.
func native(err error) error {
	if _, ok := status.FromError(err); ok {
		return errgrpc.ToNative(err)
	}
	return err
}

func isNotFound(err error) bool       { return errdefs.IsNotFound(native(err)) }
func isAlreadyExists(err error) bool  { return errdefs.IsAlreadyExists(native(err)) }
func isNotImplemented(err error) bool { return errdefs.IsNotImplemented(native(err)) }

// startFailures are the words by which OCI runtimes say that the process
// itself can't be started, as opposed to everything around it. The first group
// is runc's, the second crun's.
var startFailures = []string{
	"unable to start container process: exec",
	"exec user process caused",
	"chdir to cwd",

	"executable file",
	"open executable",
	"exec format error",
}

// startFailure tells whether an error of creating or starting a task says that
// the process can't be started, and returns what the OCI runtime said. Without
// such words an error is one of the host and worth another try.
func startFailure(err error) (message string, ok bool) {
	if err == nil {
		return "", false
	}
	text := native(err).Error()
	for _, words := range startFailures {
		if strings.Contains(text, words) {
			return runtimeMessage(text), true
		}
	}
	return "", false
}

// runtimeMessage strips the layers that an OCI runtime's message went through.
func runtimeMessage(text string) string {
	const marker = "runtime create failed: "
	if i := strings.LastIndex(text, marker); i >= 0 {
		text = text[i+len(marker):]
	}
	text = strings.TrimPrefix(text, "runc create failed: ")
	text = strings.TrimPrefix(text, "unable to start container process: ")
	return strings.TrimSuffix(text, ": unknown")
}
