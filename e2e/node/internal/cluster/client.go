// Package cluster is what the node itself asks of the Kubernetes API: join, register its Node, apply manifests, wait
// until all is well, and keep routes to the other nodes.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	certificates "k8s.io/client-go/kubernetes/typed/certificates/v1"
	core "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
)

// Client talks to one API server as one user.
type Client struct {
	core         *core.CoreV1Client
	certificates *certificates.CertificatesV1Client
	dynamic      dynamic.Interface
	mapper       *restmapper.DeferredDiscoveryRESTMapper
}

// Connect reads a kubeconfig; it sends nothing.
func Connect(kubeconfig []byte) (*Client, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("client configuration: %w", err)
	}
	config.UserAgent = "k3s-node"
	config.QPS = -1 // the node's own few requests at start must not wait for each other
	client := &Client{}
	if client.core, err = core.NewForConfig(config); err != nil {
		return nil, err
	}
	if client.certificates, err = certificates.NewForConfig(config); err != nil {
		return nil, err
	}
	if client.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, err
	}
	discoverer, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	client.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discoverer))
	return client, nil
}

// Ready asks the API server whether all of it is up.
func (c *Client) Ready(ctx context.Context) error {
	return c.core.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

// Permanent marks an error that waiting can't mend.
func Permanent(err error) error { return permanent{err} }

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Wait calls attempt every interval until it succeeds, fails for good, or limit is over; until says what is waited for.
// A wait that takes long is logged with its reason, so that a start that hangs shows on what.
func Wait(ctx context.Context, until string, interval, limit time.Duration, attempt func(context.Context) error) error {
	deadline := time.Now().Add(limit)
	last, since := "", time.Now()
	var final permanent
	for {
		err := attempt(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &final):
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("waited %s in vain until %s: %w", limit, until, err)
		}
		if err.Error() != last {
			last, since = err.Error(), time.Now()
		} else if time.Since(since) > quietWait {
			slog.Info("still waiting", "until", until, "because", last)
			since = time.Now()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(interval):
		}
	}
}

// quietWait is how long one and the same reason is worth no line in the log.
const quietWait = 5 * time.Second
