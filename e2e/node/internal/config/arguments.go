// Arguments of the components: our defaults, each replaced by what the command line gives for it.

package config

import (
	"path/filepath"

	"github.com/finos/5spot-rs/e2e/node/internal/options"
)

// Server holds what the control plane's arguments depend on.
type Server struct {
	NodeIP string
	opts   options.Server
}

// ForServer binds the node's address to the command line.
func ForServer(nodeIP string, opts options.Server) Server { return Server{NodeIP: nodeIP, opts: opts} }

func tls(name string) string { return filepath.Join(TLSDir, name) }

// Etcd: nothing here needs to survive a power cut, so fsync is off. Progress notifications let a watch that starts
// at a list's resourceVersion begin at once.
func (s Server) Etcd() []string {
	return join([]options.Arg{
		{Key: "data-dir", Value: EtcdDir},
		{Key: "unsafe-no-fsync", Value: "true"},
		{Key: "watch-progress-notify-interval", Value: "5s"},
		{Key: "listen-client-urls", Value: "http://127.0.0.1:2379"},
		{Key: "advertise-client-urls", Value: "http://127.0.0.1:2379"},
		{Key: "log-level", Value: "warn"},
	}, nil)
}

// APIServer gives kube-apiserver's arguments.
func (s Server) APIServer() []string {
	return join([]options.Arg{
		{Key: "advertise-address", Value: s.NodeIP},
		{Key: "secure-port", Value: APIPort},
		{Key: "etcd-servers", Value: "http://127.0.0.1:2379"},
		{Key: "service-cluster-ip-range", Value: ServiceCIDR},
		{Key: "allow-privileged", Value: "true"},
		{Key: "anonymous-auth", Value: "false"},
		{Key: "authorization-mode", Value: "Node,RBAC"},
		{Key: "enable-admission-plugins", Value: "NodeRestriction"},
		{Key: "enable-bootstrap-token-auth", Value: "true"},
		{Key: "client-ca-file", Value: tls("ca.crt")},
		{Key: "tls-cert-file", Value: tls("apiserver.crt")},
		{Key: "tls-private-key-file", Value: tls("apiserver.key")},
		{Key: "kubelet-client-certificate", Value: tls("apiserver-kubelet-client.crt")},
		{Key: "kubelet-client-key", Value: tls("apiserver-kubelet-client.key")},
		{Key: "kubelet-preferred-address-types", Value: "InternalIP,Hostname"},
		{Key: "service-account-issuer", Value: "https://kubernetes.default.svc.cluster.local"},
		{Key: "service-account-key-file", Value: tls("service-account.key")},
		{Key: "service-account-signing-key-file", Value: tls("service-account.key")},
		{Key: "requestheader-client-ca-file", Value: tls("front-proxy-ca.crt")},
		{Key: "requestheader-allowed-names", Value: "front-proxy-client"},
		{Key: "requestheader-extra-headers-prefix", Value: "X-Remote-Extra-"},
		{Key: "requestheader-group-headers", Value: "X-Remote-Group"},
		{Key: "requestheader-username-headers", Value: "X-Remote-User"},
		{Key: "proxy-client-cert-file", Value: tls("front-proxy-client.crt")},
		{Key: "proxy-client-key-file", Value: tls("front-proxy-client.key")},
		{Key: "profiling", Value: "false"},
	}, s.opts.APIServer)
}

// ControllerManager gives kube-controller-manager's arguments. It signs the certificates of joining nodes. At its
// default request rate it would start its forty controllers over four seconds.
func (s Server) ControllerManager() []string {
	kubeconfig := State("controller-manager.kubeconfig")
	return join([]options.Arg{
		{Key: "kubeconfig", Value: kubeconfig},
		{Key: "authentication-kubeconfig", Value: kubeconfig},
		{Key: "authorization-kubeconfig", Value: kubeconfig},
		{Key: "leader-elect", Value: "false"},
		{Key: "bind-address", Value: "127.0.0.1"},
		{Key: "kube-api-qps", Value: "200"},
		{Key: "kube-api-burst", Value: "400"},
		{Key: "allocate-node-cidrs", Value: "true"},
		{Key: "cluster-cidr", Value: PodCIDR},
		{Key: "service-cluster-ip-range", Value: ServiceCIDR},
		{Key: "cluster-signing-cert-file", Value: tls("ca.crt")},
		{Key: "cluster-signing-key-file", Value: tls("ca.key")},
		{Key: "root-ca-file", Value: tls("ca.crt")},
		{Key: "service-account-private-key-file", Value: tls("service-account.key")},
		{Key: "use-service-account-credentials", Value: "true"},
	}, s.opts.ControllerManager)
}

// Scheduler gives kube-scheduler's arguments.
func (s Server) Scheduler() []string {
	kubeconfig := State("scheduler.kubeconfig")
	return join([]options.Arg{
		{Key: "kubeconfig", Value: kubeconfig},
		{Key: "authentication-kubeconfig", Value: kubeconfig},
		{Key: "authorization-kubeconfig", Value: kubeconfig},
		{Key: "leader-elect", Value: "false"},
		{Key: "bind-address", Value: "127.0.0.1"},
	}, s.opts.Scheduler)
}

// KubeletArguments gives the kubelet's; the rest is in its configuration file.
func KubeletArguments(nodeIP string, opts options.Common) []string {
	return join([]options.Arg{
		{Key: "config", Value: State("kubelet.json")},
		{Key: "kubeconfig", Value: State("kubelet.kubeconfig")},
		{Key: "hostname-override", Value: opts.NodeName},
		{Key: "node-ip", Value: nodeIP},
	}, opts.Kubelet)
}

// KubeProxy gives kube-proxy's arguments. It shares the kubelet's credentials. The conntrack limits are left as they
// are: they belong to the machine.
func KubeProxy(opts options.Common) []string {
	return join([]options.Arg{
		{Key: "kubeconfig", Value: State("kubelet.kubeconfig")},
		{Key: "hostname-override", Value: opts.NodeName},
		{Key: "proxy-mode", Value: "iptables"},
		{Key: "cluster-cidr", Value: PodCIDR},
		{Key: "conntrack-max-per-core", Value: "0"},
		{Key: "conntrack-tcp-timeout-established", Value: "0"},
		{Key: "conntrack-tcp-timeout-close-wait", Value: "0"},
	}, opts.KubeProxy)
}

// join gives --key=value for the defaults that no override names, then for the overrides in their order.
func join(defaults, overrides []options.Arg) []string {
	replaced := map[string]bool{}
	for _, arg := range overrides {
		replaced[arg.Key] = true
	}
	var all []string
	for _, arg := range defaults {
		if !replaced[arg.Key] {
			all = append(all, "--"+arg.Key+"="+arg.Value)
		}
	}
	for _, arg := range overrides {
		all = append(all, "--"+arg.Key+"="+arg.Value)
	}
	return all
}
