package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/podstead/podstead/api"
)

func (a *App) versionCommand() *cobra.Command {
	var clientOnly bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Tell which podstead this is, and which one runs",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			fmt.Fprintf(a.Out, "Client: %s\n", versionText(a.Version))
			if clientOnly {
				return nil
			}
			client := a.client()
			defer client.Close()
			v, err := client.Version(c.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.Out, "Daemon: %s\n", versionText(*v))
			return err
		},
	}
	c.Flags().BoolVar(&clientOnly, "client", false, "do not ask the daemon")
	return c
}

func versionText(v api.Version) string {
	text := v.Version
	if v.Commit != "" {
		text += " (" + v.Commit + ")"
	}
	return text + ", " + v.Go + ", " + v.Platform
}
