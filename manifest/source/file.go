package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/internal/ownfile"
	"github.com/podstead/podstead/pod"
)

// isManifest tells manifests from everything else in a directory by name:
// editors' files, backups and ConfigMaps' machinery are none.
func isManifest(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	switch filepath.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// signature changes whenever the content of a file may have changed.
type signature struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
}

func signatureOf(info fs.FileInfo) signature {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return signature{size: info.Size()}
	}
	return signature{
		dev: uint64(stat.Dev), ino: stat.Ino, size: stat.Size,
		mtime: unix.Timespec(stat.Mtim), ctime: unix.Timespec(stat.Ctim),
	}
}

// age is how long ago the file was changed, by the wall clock. It is negative
// when the clock was set back since.
func (s signature) age(now time.Time) time.Duration {
	return min(now.Sub(time.Unix(s.mtime.Unix())), now.Sub(time.Unix(s.ctime.Unix())))
}

// content is what was found in a file.
type content struct {
	data []byte
	// signature is that of the content.
	signature signature
	// torn tells that the file changed while it was read.
	torn bool
	// problem is why there is no data.
	problem *pod.Problem
}

// readManifest reads a file that stat said to be regular.
func readManifest(path string, limit int64) content {
	// Without O_NONBLOCK, opening what became a FIFO meanwhile would hang.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return content{problem: unreadableProblem(err)}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return content{problem: unreadableProblem(err)}
	}
	if problem := unfit(path, info, limit); problem != nil {
		return content{problem: problem}
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return content{problem: unreadableProblem(err)}
	}
	after, err := f.Stat()
	if err != nil {
		return content{problem: unreadableProblem(err)}
	}
	c := content{data: data, signature: signatureOf(info)}
	c.torn = signatureOf(after) != c.signature || int64(len(data)) != info.Size()
	return c
}

// unfit refuses open files that must not be used.
func unfit(path string, info fs.FileInfo, limit int64) *pod.Problem {
	switch err := exclusive(path, info); {
	case !info.Mode().IsRegular():
		return &pod.Problem{
			Severity: pod.Error, Reason: pod.ReasonUnreadable,
			Message: "is not a regular file", Got: ownfile.Describe(info.Mode()), Want: "a regular file",
		}
	case err != nil:
		return untrustedProblem(err)
	case info.Size() > limit:
		return &pod.Problem{
			Severity: pod.Error, Reason: pod.ReasonTooLarge, Message: "the file is too large",
			Got: fmt.Sprintf("%d bytes", info.Size()), Want: fmt.Sprintf("at most %d bytes", limit),
		}
	}
	return nil
}

func untrustedProblem(err error) *pod.Problem {
	return &pod.Problem{
		Severity: pod.Error, Reason: pod.ReasonPolicy,
		Message: "only root may be able to write a manifest: " + err.Error(),
	}
}

func unreadableProblem(err error) *pod.Problem {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err // the problem names the file already
	}
	return &pod.Problem{
		Severity: pod.Error, Reason: pod.ReasonUnreadable, Message: "can't be read: " + err.Error(),
		Want: "a regular file that podstead can read",
	}
}
