// Package node puts the parts together: it brings a server or an agent up in order, says when it is up, keeps what has
// to be kept, and ends with an error as soon as one component does.
package node

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/finos/5spot-rs/e2e/node/internal/cluster"
	"github.com/finos/5spot-rs/e2e/node/internal/config"
	"github.com/finos/5spot-rs/e2e/node/internal/host"
	"github.com/finos/5spot-rs/e2e/node/internal/options"
	"github.com/finos/5spot-rs/e2e/node/internal/supervise"
)

// stopGrace is what components get to end by themselves: the container's engine kills everything after 10 s.
const stopGrace = 3 * time.Second

const pollInterval = 50 * time.Millisecond

// node is what both roles share.
type node struct {
	opts       options.Common
	ip         string
	forward    bool // a name server that pods can reach exists
	components *supervise.Group
	begun      time.Time
	keep       sync.WaitGroup // loops that run until the node ends
}

// run prepares the container, brings the role up by start, and waits for the end: nil when ctx ended, which is how the
// node is told to stop, and otherwise the component that ended or the step that failed.
func run(ctx context.Context, opts options.Common, start func(context.Context, *node) error) error {
	n := &node{opts: opts, begun: time.Now(), components: supervise.NewGroup(config.LogDir)}
	inner, cancel := context.WithCancelCause(ctx)
	defer func() {
		cancel(nil)
		n.components.Stop(stopGrace)
		n.keep.Wait()
	}()
	n.loop(func() {
		select {
		case err := <-n.components.Ended():
			cancel(err)
		case <-inner.Done():
		}
	})
	err := n.prepare(inner)
	if err == nil {
		err = start(inner, n)
	}
	if err == nil {
		<-inner.Done()
		err = context.Cause(inner)
	}
	if ctx.Err() != nil {
		slog.Info("stopping")
		return nil
	}
	return err
}

// loop runs keep until the node ends.
func (n *node) loop(keep func()) {
	n.keep.Add(1)
	go func() { defer n.keep.Done(); keep() }()
}

func (n *node) done(step string) {
	slog.Info(step, "after", time.Since(n.begun).Round(10*time.Millisecond).String())
}

func (n *node) prepare(ctx context.Context) error {
	dirs := []string{
		filepath.Dir(config.Kubeconfig), filepath.Dir(config.CNIConfig), config.LogDir, config.StateDir,
		config.ImagesDir, "/etc/containerd", "/run/containerd", "/tmp",
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("prepare the container: %w", err)
		}
	}
	if err := host.Prepare(ctx); err != nil {
		return err
	}
	var err error
	if n.ip, err = host.NodeIP(); err != nil {
		return err
	}
	machine, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return fmt.Errorf("name servers of the machine: %w", err)
	}
	var resolvConf string
	resolvConf, n.forward = config.ResolvConf(string(machine))
	return write(0o644, map[string][]byte{
		config.State("resolv.conf"):   []byte(resolvConf),
		"/etc/containerd/config.toml": []byte(config.Containerd(n.opts.Snapshotter)),
	})
}

// runtime starts containerd and loads the images that pods may use: the bundled ones but skip, then the harness's.
func (n *node) runtime(ctx context.Context, skip ...string) error {
	if err := n.components.Start("containerd", "containerd"); err != nil {
		return err
	}
	err := cluster.Wait(ctx, "containerd answers", pollInterval, cluster.StartLimit, func(ctx context.Context) error {
		return command(ctx, nil, "ctr", "version")
	})
	if err != nil {
		return err
	}
	loaded := 0
	for _, dir := range []string{config.BundledImagesDir, config.ImagesDir} {
		archives, err := imageArchives(dir)
		if err != nil {
			return err
		}
		for _, archive := range archives {
			if slices.Contains(skip, archive) {
				continue
			}
			if err := importImages(ctx, n.opts.Snapshotter, archive); err != nil {
				return fmt.Errorf("import images from %s: %w", archive, err)
			}
			loaded++
		}
	}
	n.done(fmt.Sprintf("%d image archives imported", loaded))
	return nil
}

// network writes the pod network's configuration for the node's pod range.
func (n *node) network(ctx context.Context, podCIDR string) error {
	text, err := config.CNI(podCIDR)
	if err != nil {
		return err
	}
	if err := host.Masquerade(ctx, podCIDR, config.PodCIDR); err != nil {
		return err
	}
	return write(0o644, map[string][]byte{config.CNIConfig: text})
}

// kubelet starts kubelet and kube-proxy with the given credentials.
func (n *node) kubelet(clientCA string, kubeconfig []byte) error {
	settings, err := config.Kubelet(config.KubeletFiles{ClientCA: clientCA, ResolvConf: config.State("resolv.conf")})
	if err != nil {
		return err
	}
	err = write(0o600, map[string][]byte{config.State("kubelet.json"): settings, config.State("kubelet.kubeconfig"): kubeconfig})
	if err != nil {
		return err
	}
	if err := n.components.Start("kubelet", "kubelet", config.KubeletArguments(n.ip, n.opts)...); err != nil {
		return err
	}
	return n.components.Start("kube-proxy", "kube-proxy", config.KubeProxy(n.opts)...)
}

func write(mode os.FileMode, files map[string][]byte) error {
	for path, text := range files {
		if err := os.WriteFile(path, text, mode); err != nil {
			return err
		}
		// The mode given above holds for a new file only.
		if err := os.Chmod(path, mode); err != nil {
			return err
		}
	}
	return nil
}

func command(ctx context.Context, stdin io.Reader, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = stdin
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// parallel runs the steps at once and gives the first error.
func parallel(ctx context.Context, steps ...func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, step := range steps {
		group.Go(func() error { return step(ctx) })
	}
	return group.Wait()
}
