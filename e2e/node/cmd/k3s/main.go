// Command k3s is the container's entrypoint. It speaks k3s's command line as far as a test rig uses it, and runs
// upstream Kubernetes. It is a binary of its own beside kube, so that a change of it needs no link of all components.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/finos/5spot-rs/e2e/node/internal/node"
	"github.com/finos/5spot-rs/e2e/node/internal/options"
)

const usage = `usage: k3s server [flags] | k3s agent [flags] | k3s kubectl ... | k3s ctr ...

This is no k3s: it runs upstream Kubernetes behind the part of k3s's command line that a test rig needs.
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	role, args := os.Args[1], os.Args[2:]
	switch role {
	case "server", "agent":
		if os.Getpid() == 1 {
			os.Exit(runAsInit())
		}
		if err := runRole(role, args); err != nil {
			fmt.Fprintf(os.Stderr, "k3s %s: %v\n", role, err)
			os.Exit(1)
		}
	case "kubectl", "ctr":
		fmt.Fprintln(os.Stderr, become(role, args))
		os.Exit(1)
	default:
		fmt.Fprintf(os.Stderr, "k3s: unknown command %q\n%s", role, usage)
		os.Exit(2)
	}
}

func runRole(role string, args []string) error {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	hostname, err := os.Hostname()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if role == "agent" {
		opts, err := options.ParseAgent(args, os.Getenv, hostname)
		if err != nil {
			return err
		}
		return node.Agent(ctx, opts)
	}
	opts, err := options.ParseServer(args, os.Getenv, hostname)
	if err != nil {
		return err
	}
	return node.Server(ctx, opts)
}

// become replaces this process by the named program; it returns only when that fails.
func become(name string, args []string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	return errors.Join(fmt.Errorf("k3s %s", name), syscall.Exec(path, append([]string{name}, args...), os.Environ()))
}
