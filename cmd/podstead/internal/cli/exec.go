package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/pod"
)

// execFlags are the flags of exec.
type execFlags struct {
	scope
	container  string
	stdin, tty bool
}

func (a *App) execCommand() *cobra.Command {
	f := &execFlags{}
	c := &cobra.Command{
		Use:     "exec [-it] POD|TYPE/NAME [-c CONTAINER] -- COMMAND [ARG...]",
		Short:   "Run a command in a container",
		Example: "  podstead exec web -- ls /\n  podstead exec -it web -c app -- sh",
		RunE: func(c *cobra.Command, args []string) error {
			ref, command, err := execArgs(args, c.ArgsLenAtDash())
			if err != nil {
				return err
			}
			return a.exec(c.Context(), f, ref, command)
		},
		ValidArgsFunction: a.completePods(&f.scope),
	}
	f.name(c)
	c.Flags().StringVarP(&f.container, "container", "c", "", "the container, when the pod has several")
	c.Flags().BoolVarP(&f.stdin, "stdin", "i", false, "pass the standard input on")
	c.Flags().BoolVarP(&f.tty, "tty", "t", false, "give the command a terminal")
	a.completeFlags(c, "namespace", a.completeNamespaces)
	a.completeFlags(c, "container", a.completeContainers(&f.scope))
	return c
}

func execArgs(args []string, dash int) (ref pod.ObjectKey, command []string, err error) {
	if dash < 0 {
		return ref, nil, errors.New("the command is missing: podstead exec POD -- COMMAND [ARG...]")
	}
	ref, rest, err := podRefArg(args[:dash])
	switch {
	case err != nil:
		return ref, nil, err
	case len(rest) > 0:
		return ref, nil, fmt.Errorf("got %q between the pod and --, want nothing", rest)
	case len(args) == dash:
		return ref, nil, errors.New("the command is missing after --")
	}
	return ref, args[dash:], nil
}

func (a *App) exec(ctx context.Context, f *execFlags, ref pod.ObjectKey, command []string) error {
	client := a.client()
	defer client.Close()
	p, _, err := a.podOf(ctx, client, &f.scope, ref)
	if err != nil {
		return err
	}
	key, container := f.key(p.Name), f.container
	if container == "" {
		container = a.chooseContainer(p)
	}
	r := api.ExecRequest{Command: command, TTY: f.tty, Stdout: a.Out, Stderr: a.Err}
	if f.stdin {
		r.Stdin = a.In
	}
	code, err := a.execWithTerminal(ctx, client, key, container, r)
	if err != nil {
		return err
	}
	if code != 0 {
		fmt.Fprintf(a.Err, "command terminated with exit code %d\n", code)
		return exitStatus(code)
	}
	return nil
}

// execWithTerminal puts the person's terminal, if a terminal is asked for and
// there is one, into raw mode while the command runs.
func (a *App) execWithTerminal(ctx context.Context, client *api.Client, key pod.Key, container string, r api.ExecRequest) (int, error) {
	tty, ok := terminal(a.In)
	if r.TTY && !ok {
		fmt.Fprintln(a.Err, "Unable to use a TTY - input is not a terminal or the right kind of file")
		r.TTY = false
	}
	if !r.TTY {
		return client.Exec(ctx, key, container, r)
	}
	ctx, cancel := context.WithCancel(ctx)
	sizes := make(chan api.TerminalSize, 1)
	var watching sync.WaitGroup
	watching.Go(func() { watchSize(ctx, tty, sizes) })
	defer watching.Wait()
	defer cancel()
	r.Resize = sizes
	if r.Stdin == nil {
		return client.Exec(ctx, key, container, r)
	}
	before, err := term.MakeRaw(int(tty.Fd()))
	if err != nil {
		return 0, fmt.Errorf("put the terminal into raw mode: %w", err)
	}
	code, err := client.Exec(ctx, key, container, r)
	return code, errors.Join(err, term.Restore(int(tty.Fd()), before))
}

// watchSize sends the size of a terminal now and whenever it changes, until
// ctx ends.
func watchSize(ctx context.Context, tty *os.File, sizes chan<- api.TerminalSize) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, unix.SIGWINCH)
	defer signal.Stop(changed)
	for {
		if width, height, err := term.GetSize(int(tty.Fd())); err == nil {
			select {
			case sizes <- api.TerminalSize{Width: uint16(width), Height: uint16(height)}:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
