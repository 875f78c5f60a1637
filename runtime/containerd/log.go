package containerd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// maxLogSize is the size of the log file, in bytes, beyond which it is put
// aside as FILE.1.
const maxLogSize = 10 << 20

// openLog opens containerd's log. One that can't be made, as on a full disk,
// is done without.
func (s *Server) openLog() (*os.File, error) {
	log, err := os.OpenFile(s.cfg.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err == nil {
		return log, nil
	}
	s.set(func(st *Status) { st.Warning = fmt.Sprintf("containerd has no log: %v", err) })
	return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
}

// BoundLog empties the log of the running containerd when it has grown too
// large, after it was copied aside. It may be called at any time.
func (s *Server) BoundLog() error {
	info, err := os.Stat(s.cfg.LogFile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() <= maxLogSize {
		return nil
	}
	if err != nil {
		return fmt.Errorf("bound the log of containerd: %w", err)
	}
	// Where there is no room for a copy the old text is lost: it must not
	// grow for ever.
	copied := copyFile(s.cfg.LogFile, s.cfg.LogFile+".1")
	if err := os.Truncate(s.cfg.LogFile, 0); err != nil {
		return fmt.Errorf("bound the log of containerd: %w", err)
	}
	return copied
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy log: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return fmt.Errorf("copy log: %w", err)
	}
	_, err = out.ReadFrom(in)
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("copy log to %s: %w", to, err)
	}
	return nil
}
