// Package config renders everything the node's components are started with: their configuration files and their
// arguments. It starts nothing and reads no state, so that each piece can be checked as text.
package config

import (
	"os"
	"path/filepath"
)

// Paths that belong to k3s's container contract.
const (
	Kubeconfig   = "/etc/rancher/k3s/k3s.yaml"
	ImagesDir    = "/var/lib/rancher/k3s/agent/images"
	ManifestsDir = "/var/lib/rancher/k3s/server/manifests"
	AuditDir     = "/var/lib/rancher/k3s/server/logs"
	TokenFile    = "/var/lib/rancher/k3s/server/node-token"
	SecretFile   = "/var/lib/rancher/k3s/server/token"
)

// Paths of our own.
const (
	// BundledImagesDir is apart from ImagesDir, so that files copied or mounted there hide nothing.
	BundledImagesDir = "/usr/share/k3s-node/images"
	LogDir           = "/var/log/k3s-node"
	TLSDir           = "/var/lib/rancher/k3s/server/tls"
	StateDir         = "/var/lib/k3s-node"
	EtcdDir          = "/var/lib/etcd"
	CNIConfig        = "/etc/cni/net.d/10-node.conflist"
	CNIBinDir        = "/usr/lib/cni"
	ContainerdSocket = "/run/containerd/containerd.sock"
)

// Addresses of the cluster; those of k3s.
const (
	APIPort     = "6443"
	PodCIDR     = "10.42.0.0/16"
	ServerCIDR  = "10.42.0.0/24" // the first node's part of PodCIDR
	ServiceCIDR = "10.43.0.0/16"
	APIService  = "10.43.0.1"
	DNSService  = "10.43.0.10"
)

// Names under which the bundled images are in the node's image store.
const (
	PauseImage   = "five-spot.invalid/pause:bundled"
	CoreDNSImage = "five-spot.invalid/coredns:bundled"
)

// State gives the path of a file of our own.
func State(name string) string { return filepath.Join(StateDir, name) }

// DefaultKubeconfig points this process at the node's own kubeconfig when the caller chose none.
func DefaultKubeconfig() error {
	if os.Getenv("KUBECONFIG") != "" {
		return nil
	}
	if home, err := os.UserHomeDir(); err == nil {
		if _, err := os.Stat(filepath.Join(home, ".kube", "config")); err == nil {
			return nil
		}
	}
	return os.Setenv("KUBECONFIG", Kubeconfig)
}
