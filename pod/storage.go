package pod

import (
	"fmt"
	"strings"
	"time"
)

// Filesystem is a file system that podstead and its pods write to, in bytes
// and numbers.
type Filesystem struct {
	// Uses is what lies on it: images, state, logs, run.
	Uses []string `json:"uses"`
	// Path is a folder on it.
	Path string `json:"path"`
	// Size and Available are bytes. What is kept for root is not available.
	Size      int64 `json:"size"`
	Available int64 `json:"available"`
	// Inodes and InodesFree are numbers of files; both 0 where there is no
	// bound.
	Inodes     int64 `json:"inodes"`
	InodesFree int64 `json:"inodesFree"`
	ReadOnly   bool  `json:"readOnly,omitempty"`
	// Pressure says what it is short of, "" for nothing.
	Pressure string `json:"pressure,omitempty"`
}

// Disk is how the file systems are.
type Disk struct {
	// Filesystems have that of images first; nil before the first measurement.
	Filesystems []Filesystem `json:"filesystems,omitempty"`
	// Since is when there began or ceased to be pressure.
	Since time.Time `json:"since,omitzero"`
	// Stuck says why no more space can be given back although some is wanted,
	// "" while there is no need or something can be done.
	Stuck string `json:"stuck,omitempty"`
}

// Pressure says what the file systems are short of, "" for nothing.
func (d Disk) Pressure() string {
	var parts []string
	for _, f := range d.Filesystems {
		if f.Pressure != "" {
			parts = append(parts, f.Pressure)
		}
	}
	if len(parts) > 0 && d.Stuck != "" {
		parts = append(parts, d.Stuck)
	}
	return strings.Join(parts, "; ")
}

// StoredImage is an image that containerd holds for us, under all its names.
type StoredImage struct {
	Digest string `json:"digest"`
	// Names are normalised and sorted.
	Names []string `json:"names"`
	// Size is what its content and its unpacked layers take in bytes; what it
	// shares with others is counted in full.
	Size int64 `json:"size"`
	// Pinned is why it has to stay whatever happens, "" if it has not.
	Pinned string `json:"pinned,omitempty"`
	// LastUsed is when a container last had it, by the wall clock; if none had,
	// when it came. While one has it, it is older.
	LastUsed time.Time `json:"lastUsed"`
	// Kept is why it is not collected, "" if it may be. Runtimes leave it empty.
	Kept string `json:"kept,omitempty"`
}

// Name is the name by which people know the image.
func (i StoredImage) Name() string {
	for _, name := range i.Names {
		if !strings.Contains(name, "@") {
			return name
		}
	}
	if len(i.Names) > 0 {
		return i.Names[0]
	}
	return i.Digest
}

// InUse tells whether a pod has the image or wants it now.
func (i StoredImage) InUse() bool {
	return strings.HasPrefix(i.Kept, KeptUsed) || strings.HasPrefix(i.Kept, KeptWanted)
}

// The beginnings of Kept for images that pods need.
const (
	KeptUsed   = "used by pod "
	KeptWanted = "wanted by pod "
	// KeptRevision is followed by a workload.
	KeptRevision = "of a revision of "
)

// NoRoom says that an image does not fit on the disk.
type NoRoom struct {
	Image string
	// Need is how many bytes have to be available, as far as that is known.
	Need, Available int64
	// Err is what failed; nil when it was foreseen.
	Err error
}

func (n *NoRoom) Error() string {
	const mebi = 1 << 20
	text := fmt.Sprintf("pull %q: it needs about %d MiB of disk, and %d MiB are available", n.Image, (n.Need+mebi-1)/mebi, n.Available/mebi)
	if n.Err != nil {
		text += ": " + n.Err.Error()
	}
	return text
}

func (n *NoRoom) Unwrap() error { return n.Err }

// RunImages are the images that a container of a pod last ran well.
type RunImages struct {
	// Now is the digest that was ready last, Before the one before it, "" for
	// none.
	Now    string `json:"now"`
	Before string `json:"before,omitempty"`
}
