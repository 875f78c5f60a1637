package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *App) restartCommand() *cobra.Command {
	s := &scope{}
	var container string
	c := &cobra.Command{
		Use:     "restart pod NAME [-c CONTAINER]",
		Short:   "Restart the containers of a pod, or one of them",
		Example: "  podstead restart pod web\n  podstead restart web -c app",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			name, rest, err := podArg(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return fmt.Errorf("got %q after the pod, want one name", rest)
			}
			client := a.client()
			defer client.Close()
			if err := client.Restart(c.Context(), s.key(name), container); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.Out, "pod/%s restarted\n", name)
			return err
		},
		ValidArgsFunction: a.completePods(s),
	}
	s.name(c)
	c.Flags().StringVarP(&container, "container", "c", "", "only this container")
	a.completeFlags(c, "namespace", a.completeNamespaces)
	a.completeFlags(c, "container", a.completeContainers(s))
	return c
}
