package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
)

func (a *App) drainCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "drain",
		Short: "Stop every pod with its grace, while the daemon does not run",
		Long: "Stop every pod with its grace, and containerd and all else that outlives the daemon.\n\n" +
			"The daemon must not run: it would start the pods again, and does so when it is started.\n" +
			"State, images and volumes stay. The time that it takes is bounded by the longest grace.",
		Example: "  systemctl stop podstead podstead-containerd\n  podstead drain",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.unusable(a.Drain(c.Context(), file, a.tell))
		},
	}
	c.Flags().StringVar(&file, "config", defaultConfig, "the configuration file")
	return c
}

func (a *App) purgeCommand() *cobra.Command {
	var file string
	var yes bool
	c := &cobra.Command{
		Use:   "purge --yes",
		Short: "Drain, and remove everything that podstead keeps on this server",
		Long: "Stop every pod as drain does, and remove everything that podstead keeps on this server: state, images, emptyDir volumes and logs.\n\n" +
			"The daemon must not run. The configuration, manifests and the data of hostPath volumes stay.\n" +
			"Without --yes it only says what would be removed; its exit code is 1 then, and 0 if nothing is there.",
		Example: "  systemctl stop podstead podstead-containerd\n  podstead purge --yes",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return a.unusable(err)
			}
			if !exists(cfg.StateDir) && !exists(cfg.RunDir) {
				a.tell("nothing is left of podstead in " + cfg.StateDir + " and " + cfg.RunDir)
				return nil
			}
			if yes {
				return a.unusable(a.Purge(c.Context(), file, a.tell))
			}
			return fmt.Errorf("purge stops every pod and removes for good:\n%sDo it with --yes", purged(cfg))
		},
	}
	c.Flags().StringVar(&file, "config", defaultConfig, "the configuration file")
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	return c
}

// purged lists what purge removes.
func purged(c *config.Configuration) string {
	var text strings.Builder
	line := func(path, what string) { fmt.Fprintf(&text, "  %s  %s\n", path, what) }
	line(c.StateDir, "emptyDir volumes, archives of images, seccomp profiles, last good manifests, history")
	line(c.RunDir, "sandboxes and namespaces")
	if c.Runtime.Mode == config.ModeOwn {
		line(c.Runtime.Root, "images and containers")
	} else {
		line(c.Runtime.Address, "images and containers in the namespace "+c.Runtime.Namespace)
	}
	line(c.LogDir, "logs of its pods")
	return text.String()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (a *App) tell(line string) { fmt.Fprintln(a.Out, line) }
