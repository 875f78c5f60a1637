package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cmd/podstead/internal/printer"
	"github.com/podstead/podstead/pod"
)

// kindNames are a kind and what people call it beside its name and plural.
type kindNames struct {
	kind  pod.Kind
	short string
}

// kinds are those that the command line shows, in the order of "get all".
var kinds = []kindNames{
	{pod.KindPod, "po"}, {pod.KindService, "svc"}, {pod.KindDaemonSet, "ds"}, {pod.KindDeployment, "deploy"},
	{pod.KindReplicaSet, "rs"}, {pod.KindEndpointSlice, ""},
}

// rolled are the kinds that take commands about rollouts.
var rolled = []pod.Kind{pod.KindDeployment, pod.KindDaemonSet, pod.KindReplicaSet}

// kindOf reads a type as people write it: deployment, deployments, deploy,
// deployments.apps.
func kindOf(word string) (pod.Kind, bool) {
	word = strings.ToLower(word)
	name, group, grouped := strings.Cut(word, ".")
	for _, k := range kinds {
		r := api.Resource(k.kind)
		switch {
		case grouped && group != r.Group && !strings.HasSuffix(group, "."+r.Group):
		case name == r.Resource, name == strings.TrimSuffix(r.Resource, "s"), name == k.short && k.short != "":
			return k.kind, true
		}
	}
	return "", false
}

// target is a kind and names of objects of it, none for all.
type target struct {
	kind  pod.Kind
	names []string
}

// targets reads "TYPE[,TYPE...] [NAME...]" and "TYPE/NAME...". several tells
// that more than one type may be meant, as with "all".
func targets(args []string) (list []target, several bool, err error) {
	if strings.Contains(args[0], "/") {
		for _, arg := range args {
			one, err := named(arg)
			if err != nil {
				return nil, false, err
			}
			if i := slices.IndexFunc(list, func(t target) bool { return t.kind == one.Kind }); i >= 0 {
				list[i].names = append(list[i].names, one.Name)
			} else {
				list = append(list, target{one.Kind, []string{one.Name}})
			}
		}
		return list, len(list) > 1, nil
	}
	for _, arg := range args[1:] {
		if strings.Contains(arg, "/") {
			return nil, false, fmt.Errorf("got %q after the type %q, want NAME: TYPE/NAME stands without a type before it", arg, args[0])
		}
	}
	for word := range strings.SplitSeq(args[0], ",") {
		if word == "all" && len(args) == 1 {
			for _, k := range kinds[:len(kinds)-1] {
				list = append(list, target{kind: k.kind})
			}
			several = true
			continue
		}
		k, ok := kindOf(word)
		if !ok {
			return nil, false, unknownKind(word)
		}
		list = append(list, target{k, args[1:]})
	}
	return list, several || len(list) > 1, nil
}

func unknownKind(word string) error {
	var names []string
	for _, k := range kinds {
		names = append(names, api.Resource(k.kind).Resource)
	}
	return fmt.Errorf("there is nothing of the type %q: podstead has %s and a node ('podstead events' and 'podstead status' show the rest)", word, strings.Join(names, ", "))
}

// named reads TYPE/NAME.
func named(arg string) (pod.ObjectKey, error) {
	word, name, typed := strings.Cut(arg, "/")
	if !typed || name == "" || strings.Contains(name, "/") {
		return pod.ObjectKey{}, fmt.Errorf("got %q, want TYPE/NAME such as deployment/web", arg)
	}
	k, ok := kindOf(word)
	if !ok {
		return pod.ObjectKey{}, unknownKind(word)
	}
	return pod.ObjectKey{Kind: k, Key: pod.Key{Name: name}}, nil
}

// workloadArgs reads "TYPE/NAME..." and "TYPE NAME..." for commands about
// workloads of the kinds.
func (s *scope) workloadArgs(args []string, of []pod.Kind) ([]pod.ObjectKey, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("the workload is missing: want TYPE/NAME such as deployment/web")
	}
	list, _, err := targets(args)
	if err != nil {
		return nil, err
	}
	var keys []pod.ObjectKey
	for _, t := range list {
		if !slices.Contains(of, t.kind) {
			return nil, fmt.Errorf("this is not for %s, but for %s", api.Resource(t.kind).Resource, resourceNames(of))
		}
		if len(t.names) == 0 {
			return nil, fmt.Errorf("the name is missing: want %s/NAME", strings.ToLower(string(t.kind)))
		}
		for _, name := range t.names {
			keys = append(keys, pod.ObjectKey{Kind: t.kind, Key: s.key(name)})
		}
	}
	return keys, nil
}

func resourceNames(of []pod.Kind) string {
	var names []string
	for _, k := range of {
		names = append(names, api.Resource(k).Resource)
	}
	return strings.Join(names, ", ")
}

// completeTyped offers TYPE/NAME of objects of the kinds, and types of the
// command line before that.
func (a *App) completeTyped(s *scope, of []pod.Kind) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 1 {
			if k, ok := kindOf(args[0]); ok {
				return a.namesOf(c, s, k, "")
			}
		}
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var offered []string
		for _, k := range of {
			names, directive := a.namesOf(c, s, k, strings.ToLower(string(k))+"/")
			if directive != cobra.ShellCompDirectiveNoFileComp {
				return nil, directive
			}
			offered = append(offered, names...)
		}
		return offered, cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *App) namesOf(c *cobra.Command, s *scope, k pod.Kind, prefix string) ([]string, cobra.ShellCompDirective) {
	list, err := a.client().Objects(c.Context(), k, s.options())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, o := range list.Items {
		names = append(names, prefix+o.GetName())
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeKinds offers types, and after one of them the names of its objects.
func (a *App) completeKinds(s *scope, more ...string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			if k, ok := kindOf(args[0]); ok {
				return a.namesOf(c, s, k, "")
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var offered []string
		for _, k := range kinds {
			offered = append(offered, api.Resource(k.kind).Resource)
		}
		return append(offered, more...), cobra.ShellCompDirectiveNoFileComp
	}
}

// say writes what became of an object, as kubectl does.
func (a *App) say(k pod.ObjectKey, what string) error {
	_, err := fmt.Fprintf(a.Out, "%s %s\n", printer.QualifiedKey(k), printer.Clean(what))
	return err
}
