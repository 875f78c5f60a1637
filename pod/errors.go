package pod

import "errors"

// ErrUnavailable is wrapped by the error of an operation when the thing below
// it can't be asked at all (containerd is down). Nothing is concluded from it
// but that the question has to be asked again.
var ErrUnavailable = errors.New("unavailable")
