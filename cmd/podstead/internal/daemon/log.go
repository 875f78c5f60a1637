package daemon

import (
	"io"
	"os"

	"github.com/sirupsen/logrus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
)

// logger is the daemon's log, whose level can be changed.
type logger struct {
	*zap.Logger
	level zap.AtomicLevel
}

// newLogger writes for people on a terminal and JSON elsewhere, unless the
// format is configured.
func newLogger(c config.Log, out *os.File) *logger {
	l := &logger{level: zap.NewAtomicLevel()}
	l.setLevel(c.Level)
	onTerminal := term.IsTerminal(int(out.Fd()))
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoding.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(encoding)
	if c.Format == "console" || c.Format == "auto" && onTerminal {
		encoding.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		encoding.EncodeLevel = zapcore.CapitalLevelEncoder
		if onTerminal {
			encoding.EncodeLevel = zapcore.CapitalColorLevelEncoder
		}
		encoder = zapcore.NewConsoleEncoder(encoding)
	}
	l.Logger = zap.New(zapcore.NewCore(encoder, zapcore.Lock(out), l.level))
	return l
}

// setLevel takes a level that was validated; another one changes nothing.
func (l *logger) setLevel(text string) {
	if level, err := zapcore.ParseLevel(text); err == nil {
		l.level.SetLevel(level)
	}
}

// sync writes what is left. Terminals and pipes refuse to be synced, which
// loses nothing.
func (l *logger) sync() { _ = l.Sync() }

// captureLogrus brings what containerd's client logs into our log, at debug
// level: what matters of it comes back to us as errors.
func captureLogrus(log *zap.Logger) {
	logrus.SetOutput(io.Discard)
	logrus.AddHook(logrusHook{log.Named("containerd-client")})
}

type logrusHook struct{ log *zap.Logger }

// Levels asks for everything.
func (logrusHook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire passes one entry on.
func (h logrusHook) Fire(e *logrus.Entry) error {
	h.log.Debug(e.Message, zap.Any("fields", e.Data), zap.Stringer("level", e.Level))
	return nil
}
