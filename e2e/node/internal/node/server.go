// The server role: credentials, control plane, node, manifests, in the order of their needs.

package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/finos/5spot-rs/e2e/node/internal/cluster"
	"github.com/finos/5spot-rs/e2e/node/internal/config"
	"github.com/finos/5spot-rs/e2e/node/internal/manifest"
	"github.com/finos/5spot-rs/e2e/node/internal/options"
	"github.com/finos/5spot-rs/e2e/node/internal/pki"
)

// UpMessage is what a harness waits for on stderr: k3s's own words.
const UpMessage = "Node controller sync successful"

// controlPlaneLabel is the one k3s gives its servers.
var controlPlaneLabel = map[string]string{"node-role.kubernetes.io/control-plane": "true"}

type server struct {
	*node
	opts      options.Server
	token     pki.Token
	manifests *manifest.Directory

	authority  *pki.Authority
	kubeconfig []byte // of the node's kubelet
	admin      *cluster.Client
}

// Server runs control plane and node until ctx ends.
func Server(ctx context.Context, opts options.Server) error {
	return run(ctx, opts.Common, func(ctx context.Context, n *node) error {
		s := &server{node: n, opts: opts, manifests: manifest.NewDirectory(config.ManifestsDir)}
		return s.start(ctx)
	})
}

func (s *server) start(ctx context.Context) error {
	if _, err := s.manifests.Changed(); err != nil { // the first look; the second one finds the files at rest
		return fmt.Errorf("manifests: %w", err)
	}
	if err := s.credentials(); err != nil {
		return err
	}
	arguments := config.ForServer(s.ip, s.opts)
	if err := s.components.Start("etcd", "etcd", arguments.Etcd()...); err != nil {
		return err
	}
	if err := s.components.Start("kube-apiserver", "kube-apiserver", arguments.APIServer()...); err != nil {
		return err
	}
	skip := filepath.Join(config.BundledImagesDir, "coredns.tar")
	if s.opts.CoreDNS {
		skip = ""
	}
	err := parallel(ctx,
		func(ctx context.Context) error { return s.controlPlane(ctx, arguments) },
		func(ctx context.Context) error { return s.runtime(ctx, skip) },
	)
	if err != nil {
		return err
	}
	if err := s.kubelet(filepath.Join(config.TLSDir, "ca.crt"), s.kubeconfig); err != nil {
		return err
	}
	if err := s.deploy(ctx); err != nil {
		return err
	}
	if err := s.up(ctx); err != nil {
		return err
	}
	s.loop(func() { s.admin.KeepRoutes(ctx, s.opts.NodeName) })
	s.loop(func() { s.keepManifests(ctx) })
	s.done(UpMessage)
	slog.Info("k3s is up and running")
	return nil
}

// controlPlane waits for the API server, starts its two companions, and makes the Node.
func (s *server) controlPlane(ctx context.Context, arguments config.Server) error {
	if err := cluster.Wait(ctx, "kube-apiserver is ready", pollInterval, cluster.StartLimit, s.admin.Ready); err != nil {
		return err
	}
	s.done("kube-apiserver ready")
	if err := s.components.Start("kube-controller-manager", "kube-controller-manager", arguments.ControllerManager()...); err != nil {
		return err
	}
	if err := s.components.Start("kube-scheduler", "kube-scheduler", arguments.Scheduler()...); err != nil {
		return err
	}
	access, err := accessObjects(s.token)
	if err != nil {
		return err
	}
	if err := s.admin.Apply(ctx, access); err != nil {
		return err
	}
	if err := s.admin.Register(ctx, s.opts.NodeName, config.ServerCIDR, controlPlaneLabel); err != nil {
		return err
	}
	podCIDR, err := s.admin.PodCIDR(ctx, s.opts.NodeName) // another one when the container was started again
	if err != nil {
		return err
	}
	return s.network(ctx, podCIDR)
}

// up waits until pods can run here.
func (s *server) up(ctx context.Context) error {
	err := cluster.Wait(ctx, "the default service account exists", pollInterval, cluster.StartLimit, s.admin.DefaultAccount)
	if err != nil {
		return err
	}
	return cluster.Wait(ctx, "the node is Ready", pollInterval, cluster.StartLimit, func(ctx context.Context) error {
		return s.admin.NodeReady(ctx, s.opts.NodeName)
	})
}

// credentials makes everything secret: authorities, certificates, kubeconfigs and the token.
func (s *server) credentials() error {
	for _, dir := range []string{config.TLSDir, config.ManifestsDir, config.AuditDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := s.auditDirectory(); err != nil {
		return err
	}
	var err error
	if s.authority, err = pki.LoadOrCreateAuthority(config.TLSDir, "ca"); err != nil {
		return err
	}
	frontProxy, err := pki.LoadOrCreateAuthority(config.TLSDir, "front-proxy-ca")
	if err != nil {
		return err
	}
	if err := pki.SigningKey(filepath.Join(config.TLSDir, "service-account.key")); err != nil {
		return err
	}
	names := append([]string{
		pki.ServerName, "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		"localhost", "127.0.0.1", config.APIService, s.ip, s.opts.NodeName,
	}, s.opts.TLSSANs...)
	if hostname, err := os.Hostname(); err == nil {
		names = append(names, hostname)
	}
	if err := s.certificates(names, frontProxy); err != nil {
		return err
	}
	if err := s.kubeconfigs(); err != nil {
		return err
	}
	return s.joinToken()
}

// auditDirectory makes the directory of the audit log, which may be given by argument.
func (s *server) auditDirectory() error {
	for _, arg := range s.opts.APIServer {
		if arg.Key == "audit-log-path" && arg.Value != "-" {
			if err := os.MkdirAll(filepath.Dir(arg.Value), 0o755); err != nil {
				return fmt.Errorf("directory of the audit log: %w", err)
			}
		}
	}
	return nil
}

func (s *server) certificates(apiNames []string, frontProxy *pki.Authority) error {
	for file, made := range map[string]struct {
		by      *pki.Authority
		subject pki.Subject
	}{
		"apiserver":                {s.authority, pki.Subject{CommonName: "kube-apiserver", Names: apiNames}},
		"apiserver-kubelet-client": {s.authority, pki.Subject{CommonName: "kube-apiserver-kubelet-client", Organization: "system:masters"}},
		"front-proxy-client":       {frontProxy, pki.Subject{CommonName: "front-proxy-client"}},
	} {
		pair, err := made.by.Issue(made.subject)
		if err != nil {
			return err
		}
		if file == "apiserver" {
			// A joining node learns the authority from the chain; see pki.Token.FetchAuthority.
			pair.Certificate = append(pair.Certificate, s.authority.PEM...)
		}
		base := filepath.Join(config.TLSDir, file)
		if err := write(0o600, map[string][]byte{base + ".crt": pair.Certificate, base + ".key": pair.Key}); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) kubeconfigs() error {
	local := func(subject pki.Subject) ([]byte, error) {
		pair, err := s.authority.Issue(subject)
		if err != nil {
			return nil, err
		}
		return config.ClientConfig(config.Access{
			Server: "https://127.0.0.1:" + config.APIPort, CA: s.authority.PEM, Cert: pair.Certificate, Key: pair.Key,
		}), nil
	}
	admin, err := local(pki.Subject{CommonName: "system:admin", Organization: "system:masters"})
	if err != nil {
		return err
	}
	if err := write(s.opts.KubeconfigMode, map[string][]byte{config.Kubeconfig: admin}); err != nil {
		return err
	}
	if s.admin, err = cluster.Connect(admin); err != nil {
		return err
	}
	for _, component := range []string{"controller-manager", "scheduler"} {
		text, err := local(pki.Subject{CommonName: "system:kube-" + component})
		if err != nil {
			return err
		}
		if err := write(0o600, map[string][]byte{config.State(component + ".kubeconfig"): text}); err != nil {
			return err
		}
	}
	s.kubeconfig, err = local(pki.Subject{CommonName: "system:node:" + s.opts.NodeName, Organization: "system:nodes"})
	return err
}

// joinToken takes the given secret, or the one of an earlier start, or makes one, and writes both forms of the token.
func (s *server) joinToken() error {
	secret := s.opts.Token
	if secret == "" {
		kept, err := os.ReadFile(config.SecretFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("token: %w", err)
		}
		secret = strings.TrimSpace(string(kept))
	}
	if secret == "" {
		random := make([]byte, 16)
		if _, err := rand.Read(random); err != nil {
			return fmt.Errorf("token: %w", err)
		}
		secret = hex.EncodeToString(random)
	}
	s.token = pki.Token{Secret: secret}
	return write(0o600, map[string][]byte{
		config.SecretFile: []byte(secret + "\n"),
		config.TokenFile:  []byte(s.token.Full(s.authority.Certificate) + "\n"),
	})
}
