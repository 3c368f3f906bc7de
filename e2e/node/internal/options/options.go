// Package options parses the part of k3s's command line that this node speaks: exactly the flags in the tables below.
// Every other flag is refused with a message that names it and lists the accepted ones, so that a rig never believes
// in a setting that had no effect.
package options

import (
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Arg is one key=value passed through to a component as --key=value.
type Arg struct{ Key, Value string }

// Common is what both roles take.
type Common struct {
	NodeName    string
	Token       string // empty: the server makes one
	Snapshotter string
	Kubelet     []Arg
	KubeProxy   []Arg
}

// Server is the command line of `k3s server`.
type Server struct {
	Common
	CoreDNS           bool
	TLSSANs           []string
	KubeconfigMode    fs.FileMode
	APIServer         []Arg
	ControllerManager []Arg
	Scheduler         []Arg
}

// Agent is the command line of `k3s agent`.
type Agent struct {
	Common
	Server *url.URL
}

// Components that k3s would bring along and that --disable may name. Only CoreDNS exists in this node.
var components = []string{"coredns", "local-storage", "metrics-server", "servicelb", "traefik"}

var snapshotters = []string{"native", "overlayfs"}

// ParseServer reads the arguments after `server`. Flags win over the environment, as with k3s.
func ParseServer(args []string, getenv func(string) string, hostname string) (Server, error) {
	opts := Server{Common: defaults(getenv, hostname), CoreDNS: true, KubeconfigMode: 0o600}
	if mode := getenv("K3S_KUBECONFIG_MODE"); mode != "" {
		if err := setMode(&opts.KubeconfigMode)(mode); err != nil {
			return Server{}, fmt.Errorf("environment variable K3S_KUBECONFIG_MODE=%q: %w", mode, err)
		}
	}
	flags := append(opts.flags(),
		flag{name: "disable", set: func(value string) error { return opts.disable(value) }},
		flag{name: "disable-network-policy", boolean: true, set: nothingToDisable},
		flag{name: "disable-helm-controller", boolean: true, set: nothingToDisable},
		flag{name: "disable-cloud-controller", boolean: true, set: nothingToDisable},
		flag{name: "tls-san", set: addNames(&opts.TLSSANs)},
		flag{name: "write-kubeconfig-mode", set: setMode(&opts.KubeconfigMode)},
		flag{name: "kube-apiserver-arg", set: addArg(&opts.APIServer)},
		flag{name: "kube-controller-manager-arg", set: addArg(&opts.ControllerManager)},
		flag{name: "kube-scheduler-arg", set: addArg(&opts.Scheduler)},
	)
	if err := parse(flags, args); err != nil {
		return Server{}, err
	}
	if strings.HasPrefix(opts.Token, "K10") {
		return Server{}, fmt.Errorf("the token is the full form of an agent (K10...); a server takes the secret alone")
	}
	return opts, opts.check()
}

// ParseAgent reads the arguments after `agent`.
func ParseAgent(args []string, getenv func(string) string, hostname string) (Agent, error) {
	opts := Agent{Common: defaults(getenv, hostname)}
	if server := getenv("K3S_URL"); server != "" {
		if err := setServer(&opts.Server)(server); err != nil {
			return Agent{}, fmt.Errorf("environment variable K3S_URL=%q: %w", server, err)
		}
	}
	flags := append(opts.flags(), flag{name: "server", set: setServer(&opts.Server)})
	if err := parse(flags, args); err != nil {
		return Agent{}, err
	}
	if opts.Server == nil {
		return Agent{}, fmt.Errorf("--server (or K3S_URL) is required")
	}
	if opts.Token == "" {
		return Agent{}, fmt.Errorf("--token (or K3S_TOKEN) is required")
	}
	return opts, opts.check()
}

func defaults(getenv func(string) string, hostname string) Common {
	name := getenv("K3S_NODE_NAME")
	if name == "" {
		name = strings.ToLower(hostname)
	}
	return Common{NodeName: name, Token: getenv("K3S_TOKEN"), Snapshotter: "overlayfs"}
}

func (c *Common) flags() []flag {
	return []flag{
		{name: "kube-proxy-arg", set: addArg(&c.KubeProxy)},
		{name: "kubelet-arg", set: addArg(&c.Kubelet)},
		{name: "node-name", set: func(value string) error { c.NodeName = value; return nil }},
		{name: "snapshotter", set: oneOf(&c.Snapshotter, snapshotters)},
		{name: "token", set: func(value string) error { c.Token = value; return nil }},
	}
}

var nodeName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

func (c *Common) check() error {
	if len(c.NodeName) > 253 || !nodeName.MatchString(c.NodeName) {
		return fmt.Errorf("node name %q (--node-name, K3S_NODE_NAME or the host name) is not a DNS name in lower case", c.NodeName)
	}
	return nil
}

func (s *Server) disable(value string) error {
	for _, name := range strings.Split(value, ",") {
		if !slices.Contains(components, name) {
			return fmt.Errorf("unknown component %q; known: %s", name, strings.Join(components, ", "))
		}
		if name == "coredns" {
			s.CoreDNS = false
		}
	}
	return nil
}

// The node has no network policy, helm or cloud controller: switching one off asks for what is so already.
func nothingToDisable(value string) error {
	if value != "true" {
		return fmt.Errorf("value %q: this node does not have what the flag would switch on", value)
	}
	return nil
}

func oneOf(target *string, allowed []string) func(string) error {
	return func(value string) error {
		if !slices.Contains(allowed, value) {
			return fmt.Errorf("value %q is none of %s", value, strings.Join(allowed, ", "))
		}
		*target = value
		return nil
	}
}

func addArg(target *[]Arg) func(string) error {
	return func(value string) error {
		key, val, found := strings.Cut(value, "=")
		if !found || key == "" || strings.HasPrefix(key, "-") {
			return fmt.Errorf("value %q is not of the form key=value with the key without dashes", value)
		}
		*target = append(*target, Arg{Key: key, Value: val})
		return nil
	}
}

func addNames(target *[]string) func(string) error {
	return func(value string) error {
		for _, name := range strings.Split(value, ",") {
			if net.ParseIP(name) == nil && !nodeName.MatchString(strings.ToLower(name)) {
				return fmt.Errorf("value %q is neither an IP address nor a DNS name", name)
			}
			*target = append(*target, name)
		}
		return nil
	}
}

func setMode(target *fs.FileMode) func(string) error {
	return func(value string) error {
		mode, err := strconv.ParseUint(value, 8, 9)
		if err != nil {
			return fmt.Errorf("value %q is not a file mode in octal such as 644", value)
		}
		*target = fs.FileMode(mode)
		return nil
	}
}

func setServer(target **url.URL) func(string) error {
	return func(value string) error {
		server, err := url.Parse(value)
		if err != nil || server.Scheme != "https" || server.Host == "" || strings.Trim(server.Path, "/") != "" {
			return fmt.Errorf("value %q is not of the form https://host:6443", value)
		}
		if server.Port() == "" {
			server.Host = net.JoinHostPort(server.Hostname(), "6443")
		}
		server.Path = ""
		*target = server
		return nil
	}
}
