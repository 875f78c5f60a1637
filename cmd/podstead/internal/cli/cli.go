// Package cli is podstead's command line: the verbs, columns, flags and exit
// codes of kubectl.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/podstead/podstead/api"
)

// defaultSocket is where podstead serves its API unless configured otherwise.
const defaultSocket = "/run/podstead/podstead.sock"

// Exit codes beside 0 and those that exec passes on.
const (
	exitError = 1
	// exitConfig is sysexits' EX_CONFIG: systemd need not try again.
	exitConfig = 78
)

// App is one call of the command line.
type App struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	Now      func() time.Time
	Version  api.Version
	// Daemon runs podstead until ctx ends.
	Daemon func(ctx context.Context, r RunOptions) error
	// Containerd makes the process podstead's own containerd, or with check
	// only tells by an error that it is not wanted.
	Containerd func(ctx context.Context, configFile string, check bool) error
	// Drain stops every pod while no daemon runs, and Purge removes everything
	// that podstead keeps too; tell gets lines for people.
	Drain, Purge func(ctx context.Context, configFile string, tell func(string)) error

	socket string
}

// exitStatus ends the program with a code; whatever had to be said was said.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Main runs the command that args name and returns the exit code.
func (a *App) Main(ctx context.Context, args []string) int {
	root := a.Command()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintln(a.Err, message(err))
	return exitError
}

// message words an error as kubectl does, several of them on a line each.
func message(err error) string {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var lines []string
		for _, err := range several.Unwrap() {
			lines = append(lines, message(err))
		}
		return strings.Join(lines, "\n")
	}
	var refused apierrors.APIStatus
	if errors.As(err, &refused) {
		return fmt.Sprintf("Error from server (%s): %s", refused.Status().Reason, refused.Status().Message)
	}
	return "error: " + err.Error()
}

// Command is the tree of all commands; it is made anew each time.
func (a *App) Command() *cobra.Command {
	root := &cobra.Command{
		Use:   "podstead",
		Short: "Keep the containers of this server as its Kubernetes manifests say",
		Long: "podstead keeps the containers of this server as its Kubernetes manifests say.\n\n" +
			"'podstead run' is the daemon; the other commands ask it over a unix socket, in the way of kubectl.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	socket := defaultSocket
	if s := a.Getenv("PODSTEAD_SOCKET"); s != "" {
		socket = s
	}
	root.PersistentFlags().StringVar(&a.socket, "socket", socket, "the daemon's socket (also PODSTEAD_SOCKET)")
	root.AddCommand(
		a.runCommand(), a.containerdCommand(), a.reloadCommand(), a.getCommand(), a.describeCommand(), a.logsCommand(), a.execCommand(), a.portForwardCommand(),
		a.eventsCommand(), a.topCommand(), a.restartCommand(), a.statusCommand(), a.imagesCommand(), a.checkCommand(), a.versionCommand(),
		a.rolloutCommand(), a.scaleCommand(), a.diffCommand(), a.drainCommand(), a.purgeCommand(),
	)
	root.AddCommand(foreign()...)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w\nSee '%s --help' for usage", err, c.CommandPath())
	})
	return root
}

func (a *App) client() *api.Client { return api.NewClient(a.socket) }

// terminal returns the file behind a stream if that is a terminal.
func terminal(stream any) (*os.File, bool) {
	f, ok := stream.(*os.File)
	if !ok || !isTerminal(f) {
		return nil, false
	}
	return f, true
}
