package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// foreign are kubectl's verbs that podstead does not have, since pods come
// from manifests, each with what serves instead.
func foreign() []*cobra.Command {
	const write = "write the manifest into a folder that podstead reads ('podstead status' lists them); 'podstead check FILE' tells whether it is right"
	const edit = "change the manifest ('podstead describe pod NAME' says where it is); 'podstead check FILE' tells whether it is right"
	var commands []*cobra.Command
	for _, verb := range []struct{ name, instead string }{
		{"apply", write}, {"create", write}, {"edit", edit}, {"patch", edit}, {"replace", edit}, {"set", edit},
		{"label", edit}, {"annotate", edit}, {"autoscale", edit},
		{"delete", "remove the manifest ('podstead describe pod NAME' says where it is); 'podstead restart pod NAME' only restarts the containers"},
	} {
		commands = append(commands, &cobra.Command{
			Use: verb.name, Hidden: true, DisableFlagParsing: true,
			RunE: func(*cobra.Command, []string) error {
				return fmt.Errorf("podstead has no %s: pods come from manifests; %s", verb.name, verb.instead)
			},
			ValidArgsFunction: cobra.NoFileCompletions,
		})
	}
	return commands
}
