package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/cmd/podstead/internal/printer"
)

func (a *App) reloadCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "reload",
		Short: "Let podstead read its configuration again, and tell what came of it",
		Long: "Let podstead read its configuration again, as SIGHUP does, and wait until that is done.\n\n" +
			"The exit code is 1 when the configuration can't be used: the one before then stays in force.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if file != "" && !c.Flags().Changed("socket") {
				a.socketOf(file)
			}
			client := a.client()
			defer client.Close()
			state, err := client.Reload(c.Context())
			if err != nil {
				return err
			}
			return a.reloaded(state)
		},
	}
	c.Flags().StringVar(&file, "config", "", "a configuration file that names the daemon's socket")
	return c
}

// socketOf takes the socket of a configuration. One that can't be used names
// none; the daemon says what is wrong with it.
func (a *App) socketOf(file string) {
	if cfg, err := config.Load(file); err == nil {
		a.socket = cfg.Socket
	}
}

func (a *App) reloaded(c *api.Configuration) error {
	if len(c.Problems) > 0 {
		fmt.Fprintf(a.Err, "%s can't be used; the values before it stay in force:\n", c.File)
		for _, p := range c.Problems {
			fmt.Fprintln(a.Err, printer.Clean(p.String()))
		}
		return exitStatus(exitError)
	}
	if len(c.NeedRestart) > 0 {
		_, err := fmt.Fprintf(a.Out, "%s is in force, but for what needs a restart of podstead: %s\n", c.File, strings.Join(c.NeedRestart, ", "))
		return err
	}
	_, err := fmt.Fprintf(a.Out, "%s is in force\n", c.File)
	return err
}
