// The peer is a small operator with client-go's elector, to compare ours with: see README.md.
//
// It ends with 0 when it was asked to, with 1 when it lost its term or can't go on, and with 2 on a bad setting.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/finos/5spot-rs/e2e/examples/client-go/internal/election"
	"github.com/finos/5spot-rs/e2e/examples/client-go/internal/probes"
	"github.com/finos/5spot-rs/e2e/examples/client-go/internal/settings"
	"github.com/finos/5spot-rs/e2e/examples/client-go/internal/work"
)

const (
	probesAddress = ":8080"
	// What controller-runtime asks for; client-go's own 5 and 10 would delay a write that the harness waits for.
	qps, burst = 20, 30
)

func main() {
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	slog.SetDefault(logger)
	klog.SetSlogLogger(logger)
	s, err := settings.Read(os.LookupEnv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	ctx, end := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err = run(ctx, s)
	end()
	if err != nil {
		slog.Error("ended", "error", err)
		os.Exit(1)
	}
	slog.Info("ended as asked")
}

func run(ctx context.Context, s settings.Settings) error {
	forWork, forLease, err := clients(s)
	if err != nil {
		return err
	}
	task, err := work.New(forWork, s.PodNamespace, s.PodName)
	if err != nil {
		return err
	}
	contest, err := election.New(forLease.CoordinationV1(), s, task.Lead)
	if err != nil {
		return err
	}
	// Caches and probes go on until the Lease is released; the process ends with them.
	background, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	go task.Watch(background)
	go func() {
		handler := probes.Handler(contest.WatchDog().Check, task.Synced)
		if err := probes.Serve(background, probesAddress, handler); err != nil {
			end(fmt.Errorf("failed to serve the probes: %w", err))
		}
	}()
	// Asked to stop, or unable to be probed: the Lease is released in both cases.
	contending, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(background, stop)()
	// A leader without a filled cache would lead in name only.
	if cache.WaitForCacheSync(contending.Done(), task.Synced) {
		err = contest.Run(contending)
	}
	if cause := context.Cause(background); cause != nil {
		return cause
	}
	return err
}

// clients gives one for the work and one for the Lease, so that neither waits for the other's rate limit. A request for
// the Lease that hangs is given up in time for another try within the renew deadline.
func clients(s settings.Settings) (forWork, forLease *kubernetes.Clientset, err error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, nil, fmt.Errorf("failed to find the API server: %w", err)
	}
	config.QPS, config.Burst = qps, burst
	config = rest.AddUserAgent(config, "client-go-peer")
	if forWork, err = kubernetes.NewForConfig(config); err != nil {
		return nil, nil, fmt.Errorf("failed to make a client: %w", err)
	}
	config = rest.AddUserAgent(rest.CopyConfig(config), "leader-election")
	config.Timeout = s.RenewDeadline / 2
	if forLease, err = kubernetes.NewForConfig(config); err != nil {
		return nil, nil, fmt.Errorf("failed to make a client for the Lease: %w", err)
	}
	return forWork, forLease, nil
}
