package runtime

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/logs"
)

// maxLinkName is what file systems allow for a name.
const maxLinkName = 255

// logPath is where the log of one run goes, in the layout of Kubernetes.
func (r *Runtime) logPath(q *pod.StartRequest) string {
	dir := fmt.Sprintf("%s_%s_%s", q.Instance.Namespace, q.Instance.Name, q.UID)
	return filepath.Join(r.cfg.LogDir, dir, q.Name, strconv.Itoa(q.Attempt)+".log")
}

// linkPath is the link that log collectors look for. A name too long is cut
// before its ending, as the kubelet does.
func (r *Runtime) linkPath(id string, rec *record) string {
	name := fmt.Sprintf("%s_%s_%s-%s", rec.Instance.Name, rec.Instance.Namespace, rec.Name, id)
	name = name[:min(len(name), maxLinkName-len(".log"))]
	return filepath.Join(r.cfg.LinksDir, name+".log")
}

// loggerURI tells the shim to start our logger. The shim makes arguments of
// the query's keys and values.
func (r *Runtime) loggerURI(rec *record) string {
	if r.cfg.LoggerPath == "" || rec.LogPath == "" {
		return ""
	}
	query := url.Values{
		"--path":      {rec.LogPath},
		"--max-size":  {strconv.FormatInt(r.cfg.LogMaxSize, 10)},
		"--max-files": {strconv.Itoa(r.cfg.LogMaxFiles)},
	}
	if rec.StatusPath != "" {
		query.Set("--status", rec.StatusPath)
	}
	return (&url.URL{Scheme: "binary", Path: r.cfg.LoggerPath, RawQuery: query.Encode()}).String()
}

// loggerTrouble says what is wrong with the logger of a container, "" when
// nothing is. One that has not begun yet is not missed.
func loggerTrouble(rec *record) string {
	if rec.StatusPath == "" {
		return ""
	}
	s, alive, err := logs.ReadStatus(rec.StatusPath)
	switch {
	case err != nil:
		return ""
	case !alive && !s.Ended:
		return fmt.Sprintf("its logger died after %d lines: its output after that is lost", s.Entries)
	case s.DroppedLines > 0:
		return fmt.Sprintf("%d lines (%d bytes) of output were dropped, last because of: %s", s.DroppedLines, s.DroppedBytes, s.LastError)
	default:
		return ""
	}
}

// prepareFiles makes the folder of the log, the link to the log and the file
// that is mounted for the termination message. A disk that is too full for logs
// keeps no container from its start: the logger makes what is missing when there
// is room, and until then counts what it drops.
func (r *Runtime) prepareFiles(id string, rec *record) error {
	if err := r.prepareLog(id, rec); err != nil && !unwritable(err) {
		return err
	}
	if rec.MessagePath == "" {
		return nil
	}
	return makeMessageFile(rec.MessagePath)
}

func (r *Runtime) prepareLog(id string, rec *record) error {
	if rec.LogPath == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(rec.LogPath), 0o755); err != nil {
		return fmt.Errorf("make log folder: %w", err)
	}
	if err := os.MkdirAll(r.cfg.LinksDir, 0o755); err != nil {
		return fmt.Errorf("make folder of log links: %w", err)
	}
	if err := link(rec.LogPath, r.linkPath(id, rec)); err != nil {
		return fmt.Errorf("link log: %w", err)
	}
	return nil
}

// unwritable tells of a file system that takes nothing now.
func unwritable(err error) bool { return pod.DiskFull(err) || errors.Is(err, unix.EROFS) }

// makeMessageFile makes the file for the termination message; any user of the
// container may write it.
func makeMessageFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("make file for the termination message: %w", err)
	}
	return errors.Join(f.Chmod(0o666), f.Close())
}

func link(target, path string) error {
	err := os.Symlink(target, path)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if now, err := os.Readlink(path); err == nil && now == target {
		return nil
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return os.Symlink(target, path)
}

// removeFiles removes what prepareFiles made, but the log.
func (r *Runtime) removeFiles(id string, rec *record) error {
	paths := []string{r.linkPath(id, rec)}
	for _, p := range []string{rec.StatusPath, rec.MessagePath} {
		if p != "" {
			paths = append(paths, p)
		}
	}
	for _, p := range paths {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
