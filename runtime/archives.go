package runtime

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/podstead/podstead/pod"
)

// Defaults of ArchiveFolderConfig.
const (
	DefaultRescan = 20 * time.Second
	DefaultSettle = 200 * time.Millisecond
)

// retryPause is how long an import waits for a containerd that is down,
// roomPause how long for room on the disk.
const (
	retryPause = time.Second
	roomPause  = 5 * time.Second
)

// Labels of imported images that tell which content they came from.
const (
	labelArchiveSum  = "podstead.dev/archive-sha256"
	labelArchiveStat = "podstead.dev/archive-stat"
)

// ArchiveFolderConfig says which folder is watched.
type ArchiveFolderConfig struct {
	// Dir holds image archives: *.tar, *.tar.gz, *.tgz and *.tar.zst. It is
	// made when it is missing.
	Dir string
	// Runtime imports them.
	Runtime *Runtime
	// Report is called from Run's goroutine with every outcome of an import.
	Report func(ArchiveResult)
	// Rescan is how often the folder is read whole, whatever inotify says:
	// 20 s.
	Rescan time.Duration
	// Settle is how long a file must have been left alone before it is
	// taken for whole: 200 ms.
	Settle time.Duration
}

// ArchiveResult is the outcome of one import.
type ArchiveResult struct {
	Path   string
	Images []pod.Image
	// Err names the file. A file at fault is tried again when it has changed;
	// a containerd that could not be asked is asked again.
	Err error
}

// ArchiveFolder imports the image archives of a folder, each content once. What
// was imported is remembered by labels on the images, so an image that was
// deleted comes back at the next start, and a file that was removed takes
// nothing with it.
type ArchiveFolder struct {
	cfg     ArchiveFolderConfig
	scanned chan struct{}
}

// NewArchiveFolder returns an ArchiveFolder; Run starts its work.
func NewArchiveFolder(cfg ArchiveFolderConfig) *ArchiveFolder {
	if cfg.Rescan == 0 {
		cfg.Rescan = DefaultRescan
	}
	if cfg.Settle == 0 {
		cfg.Settle = DefaultSettle
	}
	return &ArchiveFolder{cfg: cfg, scanned: make(chan struct{})}
}

// Scanned is closed when everything that was in the folder at the start has
// been imported or refused.
func (a *ArchiveFolder) Scanned() <-chan struct{} { return a.scanned }

// fileStat is what tells a changed file from one that is as it was.
type fileStat struct {
	size  int64
	mtime int64
}

// visited is a file that was imported or refused. One that waits for room on
// the disk is tried again.
type visited struct {
	stat  fileStat
	waits bool
}

func (s fileStat) label(path string) string {
	return strconv.FormatInt(s.size, 10) + ":" + strconv.FormatInt(s.mtime, 10) + ":" + filepath.Base(path)
}

// Run watches the folder until ctx ends. Without inotify the rescans do.
func (a *ArchiveFolder) Run(ctx context.Context) error {
	if err := os.MkdirAll(a.cfg.Dir, 0o755); err != nil && !unwritable(err) {
		return fmt.Errorf("make image folder: %w", err)
	}
	var events <-chan fsnotify.Event
	if w, err := fsnotify.NewWatcher(); err == nil {
		defer w.Close()
		if w.Add(a.cfg.Dir) == nil {
			events = w.Events
		}
	}
	done := map[string]visited{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	scanned := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-events:
			timer.Reset(a.cfg.Settle)
		case <-timer.C:
			next := a.scan(ctx, done)
			if !scanned && (next == a.cfg.Rescan || next == roomPause) {
				scanned = true
				close(a.scanned)
			}
			timer.Reset(next)
		}
	}
}

// scan imports what is new and returns when to look again.
func (a *ArchiveFolder) scan(ctx context.Context, done map[string]visited) time.Duration {
	next := a.cfg.Rescan
	entries, err := os.ReadDir(a.cfg.Dir)
	if err != nil {
		a.report(ArchiveResult{Path: a.cfg.Dir, Err: fmt.Errorf("read image folder: %w", err)})
		return next
	}
	there := map[string]bool{}
	for _, e := range entries {
		path := filepath.Join(a.cfg.Dir, e.Name())
		there[path] = true
		if ctx.Err() != nil || !isArchive(e.Name()) {
			continue
		}
		next = min(next, a.visit(ctx, path, done))
	}
	for path := range done {
		if !there[path] {
			delete(done, path)
		}
	}
	return next
}

// visit imports one file if it is new, and returns when to look again.
func (a *ArchiveFolder) visit(ctx context.Context, path string, done map[string]visited) time.Duration {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return a.cfg.Rescan
	}
	stat := fileStat{info.Size(), info.ModTime().UnixNano()}
	before := done[path]
	if before == (visited{stat: stat}) {
		return a.cfg.Rescan
	}
	// A file that was renamed into place was last written before.
	if age := time.Since(info.ModTime()); age >= 0 && age < a.cfg.Settle {
		return a.cfg.Settle - age
	}
	list, fresh, err := a.cfg.Runtime.importOnce(ctx, path, stat)
	if errors.Is(err, pod.ErrUnavailable) || ctx.Err() != nil {
		return retryPause
	}
	full := pod.DiskFull(err)
	done[path] = visited{stat: stat, waits: full}
	if fresh && !(full && before == done[path]) {
		a.report(ArchiveResult{Path: path, Images: list, Err: err})
	}
	if full {
		return roomPause
	}
	return a.cfg.Rescan
}

func (a *ArchiveFolder) report(result ArchiveResult) {
	if a.cfg.Report != nil {
		a.cfg.Report(result)
	}
}

func isArchive(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	for _, suffix := range archiveSuffixes {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// importOnce imports an archive unless its content was imported before; fresh
// tells that it was not.
func (r *Runtime) importOnce(ctx context.Context, path string, stat fileStat) (list []pod.Image, fresh bool, err error) {
	known, err := r.imported(ctx, labelArchiveStat, stat.label(path))
	if known || err != nil {
		return nil, err != nil, err
	}
	if err := r.roomFor(path, stat.size); err != nil {
		return nil, true, err
	}
	sum, err := checksum(path)
	if err != nil {
		return nil, true, fmt.Errorf("import images from %q: %w", path, err)
	}
	known, err = r.imported(ctx, labelArchiveSum, sum)
	if known || err != nil {
		return nil, err != nil, err
	}
	list, err = r.importArchive(ctx, path, map[string]string{labelArchiveSum: sum, labelArchiveStat: stat.label(path)})
	return list, true, err
}

// imported tells whether an image bears a label.
func (r *Runtime) imported(ctx context.Context, label, value string) (bool, error) {
	found, err := r.client.ImageService().List(r.scope(ctx), fmt.Sprintf("labels.%q==%q", label, value))
	if err != nil {
		return false, failed("list images of namespace", r.cfg.Namespace, err)
	}
	return len(found) > 0, nil
}

func checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
