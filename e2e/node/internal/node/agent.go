// The agent role: trust the server by the token, get a certificate and a pod range, run a node.

package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/finos/5spot-rs/e2e/node/internal/cluster"
	"github.com/finos/5spot-rs/e2e/node/internal/config"
	"github.com/finos/5spot-rs/e2e/node/internal/options"
	"github.com/finos/5spot-rs/e2e/node/internal/pki"
)

type agent struct {
	*node
	opts       options.Agent
	token      pki.Token
	kubeconfig []byte
	self       *cluster.Client
}

// tokenLimit is how long a server that answers may refuse the token: it may itself be in the middle of its start.
const tokenLimit = 30 * time.Second

// clientCA is where an agent keeps the authority it took from the server.
var clientCA = config.State("ca.crt")

// Agent joins a server and runs a node until ctx ends.
func Agent(ctx context.Context, opts options.Agent) error {
	token, err := pki.ParseToken(opts.Token)
	if err != nil {
		return err
	}
	if token.Fingerprint == "" {
		slog.Warn("the token does not name the server's certificate authority: whoever answers is trusted; the full token is in " + config.TokenFile + " on the server")
	}
	return run(ctx, opts.Common, func(ctx context.Context, n *node) error {
		a := &agent{node: n, opts: opts, token: token}
		return a.start(ctx)
	})
}

func (a *agent) start(ctx context.Context) error {
	unused := filepath.Join(config.BundledImagesDir, "coredns.tar")
	err := parallel(ctx, a.join, func(ctx context.Context) error { return a.runtime(ctx, unused) })
	if err != nil {
		return err
	}
	if err := a.kubelet(clientCA, a.kubeconfig); err != nil {
		return err
	}
	err = cluster.Wait(ctx, "the node is Ready", pollInterval, cluster.StartLimit, func(ctx context.Context) error {
		return a.self.NodeReady(ctx, a.opts.NodeName)
	})
	if err != nil {
		return err
	}
	a.loop(func() { a.self.KeepRoutes(ctx, a.opts.NodeName) })
	a.done("k3s agent is up and running")
	return nil
}

// join gets the authority from the server, a certificate by the token, and a pod range for the node.
func (a *agent) join(ctx context.Context) error {
	var authority []byte
	err := cluster.Wait(ctx, "the server answers", 10*pollInterval, cluster.StartLimit, func(ctx context.Context) error {
		var err error
		authority, err = a.token.FetchAuthority(a.opts.Server.Host)
		if errors.Is(err, pki.ErrUntrusted) {
			return cluster.Permanent(err)
		}
		return err
	})
	if err != nil {
		return err
	}
	access := config.Access{Server: a.opts.Server.String(), ServerName: pki.ServerName, CA: authority}
	if access.Cert, access.Key, err = a.certificate(ctx, access); err != nil {
		return err
	}
	a.kubeconfig = config.ClientConfig(access)
	if a.self, err = cluster.Connect(a.kubeconfig); err != nil {
		return err
	}
	if err := write(0o644, map[string][]byte{clientCA: authority}); err != nil {
		return err
	}
	if err := a.self.Register(ctx, a.opts.NodeName, "", nil); err != nil {
		return err
	}
	var podCIDR string
	err = cluster.Wait(ctx, "the node has its pod range", pollInterval, cluster.StartLimit, func(ctx context.Context) error {
		podCIDR, err = a.self.PodCIDR(ctx, a.opts.NodeName)
		return err
	})
	if err != nil {
		return err
	}
	a.done(fmt.Sprintf("joined %s with pod range %s", a.opts.Server, podCIDR))
	return a.network(ctx, podCIDR)
}

func (a *agent) certificate(ctx context.Context, access config.Access) (cert, key []byte, err error) {
	id, secret := a.token.Bootstrap()
	access.Token = id + "." + secret
	bootstrap, err := cluster.Connect(config.ClientConfig(access))
	if err != nil {
		return nil, nil, err
	}
	var request string
	err = cluster.Wait(ctx, "the server accepts the token", 10*pollInterval, tokenLimit, func(ctx context.Context) error {
		request, key, err = bootstrap.CertificateRequest(ctx, a.opts.NodeName)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	err = cluster.Wait(ctx, "the server signs the certificate", pollInterval, cluster.StartLimit, func(ctx context.Context) error {
		cert, err = bootstrap.Certificate(ctx, request)
		return err
	})
	return cert, key, err
}
