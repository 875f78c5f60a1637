package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
)

const defaultConfig = "/etc/podstead/config.yaml"

// RunOptions are those of podstead run.
type RunOptions struct {
	ConfigFile string
	// ContainerdUnit is the unit that runs containerd, empty for none.
	ContainerdUnit string
	// NamesUnit is the unit that runs the server of names, empty for none.
	NamesUnit string
}

func (a *App) runCommand() *cobra.Command {
	var o RunOptions
	c := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Run the daemon",
		Long: "Run the daemon until SIGTERM or SIGINT; a second signal ends it at once. SIGHUP reads the configuration again.\n\n" +
			"The exit code is 78 when the configuration can't be used.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.unusable(a.Daemon(c.Context(), o))
		},
	}
	c.Flags().StringVar(&o.ConfigFile, "config", defaultConfig, "the configuration file")
	c.Flags().StringVar(&o.ContainerdUnit, "containerd-unit", "", "the systemd unit that runs containerd in runtime.mode own; without it podstead starts and supervises containerd itself")
	c.Flags().StringVar(&o.NamesUnit, "names-unit", "", "the systemd unit that runs podstead-names; without it podstead starts and supervises that itself")
	return c
}

// unusable turns a configuration that can't be used into its exit code.
func (a *App) unusable(err error) error {
	if bad, ok := errors.AsType[*config.Error](err); ok {
		fmt.Fprintln(a.Err, bad)
		return exitStatus(exitConfig)
	}
	return err
}

func (a *App) containerdCommand() *cobra.Command {
	var file string
	var check bool
	c := &cobra.Command{
		Use:   "containerd --config FILE",
		Short: "Run podstead's own containerd, for a unit that supervises it",
		Long: "Write the configuration of podstead's own containerd and become it, for a unit that supervises it;\n" +
			"'podstead run' is then given the name of that unit. A containerd that podstead started before is ended first;\n" +
			"containers go on.\n\n" +
			"Where the configuration can't be used, containerd runs with its own configuration of last time.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.unusable(a.Containerd(c.Context(), file, check))
		},
	}
	c.Flags().StringVar(&file, "config", defaultConfig, "the configuration file")
	c.Flags().BoolVar(&check, "check", false, "start nothing; the exit code is 1 when runtime.mode is external")
	return c
}
