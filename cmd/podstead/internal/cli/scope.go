package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/pod"
)

// scope is the flags that say which pods are meant.
type scope struct {
	namespace string
	all       bool
	labels    string
	fields    string
}

// name adds the flag for commands about one pod.
func (s *scope) name(c *cobra.Command) {
	c.Flags().StringVarP(&s.namespace, "namespace", "n", "default", "the namespace of the pod")
}

// several adds the flags for commands about many.
func (s *scope) several(c *cobra.Command) {
	c.Flags().StringVarP(&s.namespace, "namespace", "n", "default", "the namespace to look in")
	c.Flags().BoolVarP(&s.all, "all-namespaces", "A", false, "look in all namespaces")
	c.Flags().StringVarP(&s.labels, "selector", "l", "", "a label selector, such as app=web or 'tier in (a, b)'")
	c.Flags().StringVar(&s.fields, "field-selector", "", "a field selector, such as status.phase=Running")
}

func (s *scope) options() api.ListOptions {
	o := api.ListOptions{Namespace: s.namespace, LabelSelector: s.labels, FieldSelector: s.fields}
	if s.all {
		o.Namespace = ""
	}
	return o
}

func (s *scope) key(name string) pod.Key {
	return pod.Key{Namespace: s.namespace, Name: name}
}

// nothing is what kubectl says instead of an empty table.
func (s *scope) nothing() string {
	if s.all {
		return "No resources found"
	}
	return fmt.Sprintf("No resources found in %s namespace.", s.namespace)
}

// podName takes "NAME" and "pod/NAME".
func podName(arg string) (string, error) {
	kind, name, typed := strings.Cut(arg, "/")
	if !typed {
		return arg, nil
	}
	if !isPods(kind) || name == "" {
		return "", fmt.Errorf("%q is not a pod: got %s, want NAME or pod/NAME", arg, kind)
	}
	return name, nil
}

func isPods(kind string) bool {
	kind = strings.ToLower(kind)
	return kind == "pod" || kind == "pods" || kind == "po"
}

// podArg takes "NAME", "pod/NAME" or "pod NAME" from the front of args.
func podArg(args []string) (name string, rest []string, err error) {
	if len(args) > 0 && isPods(args[0]) && len(args) > 1 {
		args = args[1:]
	}
	if len(args) == 0 {
		return "", nil, fmt.Errorf("the name of a pod is missing")
	}
	name, err = podName(args[0])
	return name, args[1:], err
}

// completePods offers the names of pods, when podstead answers, to the shell.
func (a *App) completePods(s *scope) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 1 || len(args) == 1 && !isPods(args[0]) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list, err := a.client().Pods(c.Context(), s.options())
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeContainers offers the containers of the pod that args name.
func (a *App) completeContainers(s *scope) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		name, _, err := podArg(args)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		p, err := a.client().Pod(c.Context(), s.key(name))
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return containers(p), cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *App) completeNamespaces(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	list, err := a.client().Pods(c.Context(), api.ListOptions{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	seen := map[string]bool{}
	var names []string
	for i := range list.Items {
		if ns := list.Items[i].Namespace; !seen[ns] {
			seen[ns] = true
			names = append(names, ns)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
