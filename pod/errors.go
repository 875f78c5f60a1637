package pod

import (
	"errors"
	"strings"
	"syscall"
)

// ErrUnavailable is wrapped by the error of an operation when the thing below
// it can't be asked at all (containerd is down). Nothing is concluded from it
// but that the question has to be asked again.
var ErrUnavailable = errors.New("unavailable")

// ErrImageGone is wrapped by the error of a start when the image was removed,
// in whole or in part, behind podstead's back: it has to be had anew.
var ErrImageGone = errors.New("the image is not present any more")

// DiskFull tells whether something failed because there was no room to write.
// What comes from other processes is known by the kernel's words.
func DiskFull(err error) bool {
	if err == nil {
		return false
	}
	if _, ok := errors.AsType[*NoRoom](err); ok || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return true
	}
	text := err.Error()
	return strings.Contains(text, "no space left on device") || strings.Contains(text, "disk quota exceeded")
}

// LeftOut says that all was done but what can't be used, which Err names.
type LeftOut struct{ Err error }

func (l *LeftOut) Error() string { return l.Err.Error() }

// Unwrap returns Err.
func (l *LeftOut) Unwrap() error { return l.Err }
