package daemon

import (
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/pod"
)

// settings is the configuration in force, and what is wrong with the file.
type settings struct {
	mu sync.Mutex
	// now is what podstead runs with.
	now *config.Configuration
	// state is what status tells of the file.
	state api.Configuration
}

func newSettings(file string, cfg *config.Configuration) *settings {
	return &settings{now: cfg, state: api.Configuration{File: file}}
}

func (s *settings) running() *config.Configuration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// State tells how the file is; it serves the API.
func (s *settings) State() api.Configuration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

func (s *settings) refuse(err error) {
	problems := []pod.Problem{{Severity: pod.Error, Reason: pod.ReasonUnreadable, Message: err.Error()}}
	if bad, ok := errors.AsType[*config.Error](err); ok {
		problems = bad.Problems
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Problems = problems
}

// take takes over what can be changed while podstead runs, and returns the
// fields that can't.
func (s *settings) take(wanted *config.Configuration) (needRestart []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	needRestart = config.NeedRestart(s.now, wanted)
	s.now = config.WithLive(s.now, wanted)
	s.state.Problems, s.state.NeedRestart = nil, needRestart
	return needRestart
}

// reload reads the configuration again and tells what came of it. A bad one
// changes nothing.
func (d *daemon) reload() api.Configuration {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if err := d.notifier.Reloading(); err != nil {
		d.log.Warn("systemd could not be told of the reload", zap.Error(err))
	}
	d.readAgain()
	if err := d.notifier.Reloaded(); err != nil {
		d.log.Warn("systemd could not be told of the reload", zap.Error(err))
	}
	return d.config.State()
}

func (d *daemon) readAgain() {
	wanted, err := load(d.options.ConfigFile)
	if err != nil {
		d.config.refuse(err)
		d.agent.Warn("ReloadFailed", fmt.Sprintf("the configuration was not taken over, podstead goes on with the one before: %v", err))
		return
	}
	if fields := d.config.take(wanted); len(fields) > 0 {
		d.log.Warn("these fields of the configuration changed and are taken over by a restart of podstead only",
			zap.Strings("fields", fields))
	}
	now := d.config.running()
	d.log.setLevel(now.Log.Level)
	d.sources.Set(now.Sources)
	d.log.Info("the configuration was read again", zap.String("file", d.options.ConfigFile))
}
