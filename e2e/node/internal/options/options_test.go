package options

import (
	"io/fs"
	"reflect"
	"strings"
	"testing"
)

func noEnv(string) string { return "" }

func env(pairs map[string]string) func(string) string {
	return func(key string) string { return pairs[key] }
}

func TestServerTakesEveryFlagTheHarnessUsesInBothForms(t *testing.T) {
	got, err := ParseServer([]string{
		"--snapshotter=native", "--disable=traefik,servicelb", "--disable", "coredns", "--disable-network-policy",
		"--disable-helm-controller=true", "--disable-cloud-controller", "--tls-san=a.example,10.0.0.9", "--tls-san", "b.example",
		"--token", "abc", "--node-name=n1", "--write-kubeconfig-mode=644",
		"--kube-apiserver-arg=audit-log-path=/a=b", "--kube-apiserver-arg", "v=2", "--kube-controller-manager-arg=v=3",
		"--kube-scheduler-arg=v=4", "--kubelet-arg=v=5", "--kube-proxy-arg=v=6",
	}, noEnv, "host")
	if err != nil {
		t.Fatal(err)
	}
	want := Server{
		Common:  Common{NodeName: "n1", Token: "abc", Snapshotter: "native", Kubelet: []Arg{{"v", "5"}}, KubeProxy: []Arg{{"v", "6"}}},
		TLSSANs: []string{"a.example", "10.0.0.9", "b.example"}, KubeconfigMode: 0o644,
		APIServer: []Arg{{"audit-log-path", "/a=b"}, {"v", "2"}}, ControllerManager: []Arg{{"v", "3"}}, Scheduler: []Arg{{"v", "4"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
}

func TestServerDefaultsAreThoseOfK3s(t *testing.T) {
	got, err := ParseServer(nil, noEnv, "Host1")
	if err != nil {
		t.Fatal(err)
	}
	want := Server{Common: Common{NodeName: "host1", Snapshotter: "overlayfs"}, CoreDNS: true, KubeconfigMode: 0o600}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
}

func TestEnvironmentIsReadAndFlagsWin(t *testing.T) {
	e := env(map[string]string{"K3S_TOKEN": "env", "K3S_URL": "https://env:6443", "K3S_NODE_NAME": "env", "K3S_KUBECONFIG_MODE": "640"})
	agent, err := ParseAgent([]string{"--token=flag"}, e, "h")
	if err != nil {
		t.Fatal(err)
	}
	if agent.Token != "flag" || agent.Server.Host != "env:6443" || agent.NodeName != "env" {
		t.Fatalf("got %+v", agent)
	}
	server, err := ParseServer([]string{"--write-kubeconfig-mode=644"}, e, "h")
	if err != nil {
		t.Fatal(err)
	}
	if server.KubeconfigMode != fs.FileMode(0o644) || server.Token != "env" {
		t.Fatalf("got %+v", server)
	}
}

func TestAgentServerGetsTheDefaultPort(t *testing.T) {
	agent, err := ParseAgent([]string{"--server=https://s1/", "--token=t"}, noEnv, "h")
	if err != nil {
		t.Fatal(err)
	}
	if agent.Server.String() != "https://s1:6443" {
		t.Fatalf("got %s", agent.Server)
	}
}

func TestBadCommandLinesAreRefusedByNameAndRule(t *testing.T) {
	server := func(args ...string) error { _, err := ParseServer(args, noEnv, "h"); return err }
	agent := func(args ...string) error { _, err := ParseAgent(args, noEnv, "h"); return err }
	cases := map[string]struct {
		err   error
		wants []string
	}{
		"unknown flag":            {server("--flannel-backend=none"), []string{"--flannel-backend", "not supported", "--kube-apiserver-arg", "--tls-san"}},
		"unknown flag of agent":   {agent("--tls-san=x"), []string{"--tls-san", "not supported", "--server"}},
		"short flag":              {agent("-t", "x"), []string{"flag -t", "not supported"}},
		"positional":              {server("foo"), []string{"argument foo", "not supported"}},
		"no value":                {server("--token"), []string{"--token", "needs a value"}},
		"unknown component":       {server("--disable=dns"), []string{"--disable", `"dns"`, "coredns"}},
		"snapshotter":             {server("--snapshotter=zfs"), []string{"--snapshotter", `"zfs"`, "native, overlayfs"}},
		"arg without value":       {server("--kubelet-arg=v"), []string{"--kubelet-arg", `"v"`, "key=value"}},
		"arg with dashes":         {server("--kubelet-arg=--v=1"), []string{"--kubelet-arg", "without dashes"}},
		"mode":                    {server("--write-kubeconfig-mode=9"), []string{"--write-kubeconfig-mode", `"9"`, "octal"}},
		"san":                     {server("--tls-san=a_b"), []string{"--tls-san", `"a_b"`}},
		"node name":               {server("--node-name=A_B"), []string{"node name", `"A_B"`}},
		"agent token on a server": {server("--token=K10ab::server:x"), []string{"secret alone"}},
		"switching on":            {server("--disable-network-policy=false"), []string{"--disable-network-policy", "does not have"}},
		"agent without server":    {agent("--token=x"), []string{"--server", "K3S_URL", "required"}},
		"agent without token":     {agent("--server=https://a:1"), []string{"--token", "K3S_TOKEN", "required"}},
		"plain http":              {agent("--server=http://a:1"), []string{"--server", "https://host:6443"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.wants {
				if !strings.Contains(c.err.Error(), want) {
					t.Errorf("%q does not contain %q", c.err, want)
				}
			}
		})
	}
}
