// Package containerd starts and supervises a containerd of podstead's own,
// where no service manager does. It outlives podstead: containers are not
// touched when podstead is stopped, upgraded or killed, and the next podstead
// finds the containerd that is there.
package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/internal/filelock"
	"github.com/podstead/podstead/internal/process"
)

// Back-off between restarts of a containerd that dies: none the first time,
// then doubling. A life of stable or more starts it anew.
const (
	backoffBase = time.Second
	backoffMax  = 5 * time.Second
	stable      = time.Minute
)

// Config says what is run and where its files are. All are needed but ShimDir
// and Report.
type Config struct {
	// Binary is the containerd program, of the 2.x line.
	Binary string
	// Root holds what must survive a reboot, State what must not.
	Root, State string
	// Socket is where it listens; its folder is made, for root only.
	Socket string
	// ConfigFile is written before each start; PIDFile and LogFile are written
	// by podstead and by containerd.
	ConfigFile, PIDFile, LogFile string
	// ShimDir is put before PATH, so that its shim is used.
	ShimDir string
	// Report is called from Run's goroutine after each change.
	Report func(Status)
}

// Status is how containerd is.
type Status struct {
	// PID of the running containerd, 0 while there is none.
	PID   int
	Since time.Time
	// Restarts counts how often it had to be started again.
	Restarts int
	// Err is why it does not run; nil while it does.
	Err error
	// Warning tells of something that works worse than it should.
	Warning string
	// Unprotected says why it may be killed when memory runs out, "" if the
	// kernel spares it.
	Unprotected string
}

// Server supervises one containerd.
type Server struct {
	cfg Config

	mu     sync.Mutex
	status Status
}

// NewServer returns a Server; Run starts its work.
func NewServer(cfg Config) *Server { return &Server{cfg: cfg} }

// Status may be called at any time.
func (s *Server) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Version asks the program for its version, such as 2.3.7.
func (s *Server) Version(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, s.cfg.Binary, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask %q for its version: %w", s.cfg.Binary, err)
	}
	fields := strings.Fields(string(out))
	if len(fields) < 3 {
		return "", fmt.Errorf("ask %q for its version: got %q, want \"containerd MODULE VERSION\"", s.cfg.Binary, out)
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(fields[2], "v"), "+")
	return version, nil
}

// Run finds the living containerd or starts one, and starts it again whenever
// it has ended, until ctx ends; containerd then goes on. It fails at once when
// another process supervises the same root.
func (s *Server) Run(ctx context.Context) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	var wait time.Duration
	for starts := 0; ; starts++ {
		begun := time.Now()
		err := s.life(ctx, starts)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(begun) >= stable {
			wait = 0
		}
		s.set(func(st *Status) { *st = Status{Restarts: st.Restarts, Since: time.Now(), Err: err} })
		if !sleep(ctx, wait) {
			return nil
		}
		wait = min(max(2*wait, backoffBase), backoffMax)
	}
}

// life is that of one containerd, from finding or starting it to its end.
func (s *Server) life(ctx context.Context, starts int) error {
	p, err := s.living()
	if err == nil && p == nil {
		p, err = s.start()
	}
	if err != nil {
		return err
	}
	defer p.Close()
	s.set(func(st *Status) {
		*st = Status{PID: p.PID, Since: time.Now(), Restarts: starts, Warning: st.Warning, Unprotected: protect(p.PID)}
	})
	if err := p.Wait(ctx); err != nil {
		return fmt.Errorf("wait for containerd (process %d): %w", p.PID, err)
	}
	return fmt.Errorf("containerd (process %d) has ended, see %s; it is started again", p.PID, s.cfg.LogFile)
}

// living finds a containerd with our configuration file; nil when there is
// none.
func (s *Server) living() (*process.Process, error) {
	pid, err := readPID(s.cfg.PIDFile)
	if err != nil {
		return nil, fmt.Errorf("find containerd: %w", err)
	}
	if pid == 0 || !runsConfig(pid, s.cfg.ConfigFile) {
		pid = find(s.cfg.ConfigFile)
	}
	if pid == 0 {
		return nil, s.rootFree()
	}
	p, err := process.Open(pid)
	if errors.Is(err, unix.ESRCH) {
		return nil, s.rootFree()
	}
	if err != nil {
		return nil, fmt.Errorf("find containerd: %w", err)
	}
	return p, nil
}

// rootFree fails when some containerd that is not ours uses the root: it holds
// a lock on its database there.
func (s *Server) rootFree() error {
	path := filepath.Join(s.cfg.Root, "io.containerd.metadata.v1.bolt", "meta.db")
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at containerd's database: %w", err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("containerd's root %q is in use by another process that holds %s: no second one is started", s.cfg.Root, path)
	}
	return nil
}

// start starts containerd in a session of its own. As a child of ours it is
// waited for; when we end, it goes on.
func (s *Server) start() (*process.Process, error) {
	if s.Status().Warning != "" {
		s.set(func(st *Status) { st.Warning = "" })
	}
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("start containerd: %w", err)
	}
	log, err := s.openLog()
	if err != nil {
		return nil, fmt.Errorf("start containerd: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(s.cfg.Binary, "--config", s.cfg.ConfigFile)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.Env = s.environ()
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start containerd: %w", err)
	}
	p, err := process.Open(cmd.Process.Pid)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("start containerd: %w", err)
	}
	_ = cmd.Process.Release()
	if err := renameio.WriteFile(s.cfg.PIDFile, []byte(strconv.Itoa(p.PID)+"\n"), 0o644); err != nil {
		// It is found by its configuration file as well.
		s.set(func(st *Status) { st.Warning = fmt.Sprintf("write %s: %v", s.cfg.PIDFile, err) })
	}
	return p, nil
}

// prepare makes the folders and the configuration file.
func (s *Server) prepare() error {
	for _, dir := range []string{
		s.cfg.Root, s.cfg.State, filepath.Dir(s.cfg.Socket), filepath.Dir(s.cfg.ConfigFile),
		filepath.Dir(s.cfg.PIDFile), filepath.Dir(s.cfg.LogFile),
	} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return err
		}
	}
	if info, err := os.Stat(s.cfg.LogFile); err == nil && info.Size() > maxLogSize {
		if err := os.Rename(s.cfg.LogFile, s.cfg.LogFile+".1"); err != nil {
			return err
		}
	}
	return replace(s.cfg.ConfigFile, configFile(s.cfg))
}

// replace writes a file whole, unless it has that text already: on a full disk
// containerd is to start as it did before.
func replace(path, text string) error {
	if there, err := os.ReadFile(path); err == nil && string(there) == text {
		return nil
	}
	return renameio.WriteFile(path, []byte(text), 0o644)
}

// environ is ours with the shim's folder before PATH.
func (s *Server) environ() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PATH=") })
	return append(env, "PATH="+s.path())
}

func (s *Server) path() string {
	path := os.Getenv("PATH")
	if path == "" {
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	if s.cfg.ShimDir == "" {
		return path
	}
	return s.cfg.ShimDir + ":" + path
}

// Stop ends containerd: SIGTERM, and SIGKILL when ctx ends before it has. It is
// called after Run has returned; containers go on.
func (s *Server) Stop(ctx context.Context) error {
	p, err := s.living()
	if err != nil || p == nil {
		return err
	}
	defer p.Close()
	if err := p.Signal(unix.SIGTERM); err != nil {
		return fmt.Errorf("stop containerd: %w", err)
	}
	if p.Wait(ctx) == nil {
		return nil
	}
	if err := p.Signal(unix.SIGKILL); err != nil {
		return fmt.Errorf("kill containerd: %w", err)
	}
	return p.Wait(context.WithoutCancel(ctx))
}

// lock keeps a second podstead from supervising the same root.
func (s *Server) lock() (unlock func(), err error) {
	if err := os.MkdirAll(s.cfg.Root, 0o711); err != nil {
		return nil, fmt.Errorf("supervise containerd: %w", err)
	}
	path := filepath.Join(s.cfg.Root, "podstead.lock")
	unlock, err = filelock.Own(path)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("supervise containerd: root %q: another podstead holds %s: %w", s.cfg.Root, path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("supervise containerd: %w", err)
	}
	return unlock, nil
}

func (s *Server) set(change func(*Status)) {
	s.mu.Lock()
	change(&s.status)
	now := s.status
	s.mu.Unlock()
	if s.cfg.Report != nil {
		s.cfg.Report(now)
	}
}

// sleep waits and tells whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
