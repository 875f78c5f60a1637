package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
)

func (a *App) runCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Run the daemon",
		Long: "Run the daemon until SIGTERM or SIGINT; a second signal ends it at once. SIGHUP reads the configuration again.\n\n" +
			"The exit code is 78 when the configuration can't be used.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			err := a.Daemon(c.Context(), file)
			if bad, ok := errors.AsType[*config.Error](err); ok {
				fmt.Fprintln(a.Err, bad)
				return exitStatus(exitConfig)
			}
			return err
		},
	}
	c.Flags().StringVar(&file, "config", "/etc/podstead/config.yaml", "the configuration file")
	return c
}
