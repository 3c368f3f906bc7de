package config

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/finos/5spot-rs/e2e/node/internal/options"
)

func TestUserArgumentReplacesTheDefaultAndMayBeRepeated(t *testing.T) {
	args := ForServer("10.0.0.1", options.Server{APIServer: []options.Arg{
		{Key: "authorization-mode", Value: "AlwaysAllow"}, {Key: "audit-log-path", Value: "/a"}, {Key: "tls-sni-cert-key", Value: "1"}, {Key: "tls-sni-cert-key", Value: "2"},
	}}).APIServer()
	if slices.Contains(args, "--authorization-mode=Node,RBAC") || !slices.Contains(args, "--authorization-mode=AlwaysAllow") {
		t.Errorf("default not replaced: %v", args)
	}
	for _, want := range []string{"--audit-log-path=/a", "--tls-sni-cert-key=1", "--tls-sni-cert-key=2", "--secure-port=6443", "--advertise-address=10.0.0.1"} {
		if !slices.Contains(args, want) {
			t.Errorf("no %s in %v", want, args)
		}
	}
}

func TestEveryComponentTakesItsOwnUserArguments(t *testing.T) {
	arg := func(value string) []options.Arg { return []options.Arg{{Key: "v", Value: value}} }
	opts := options.Server{Common: options.Common{Kubelet: arg("kubelet"), KubeProxy: arg("proxy")}, ControllerManager: arg("manager"), Scheduler: arg("scheduler")}
	server := ForServer("10.0.0.1", opts)
	for want, args := range map[string][]string{
		"kubelet": KubeletArguments("10.0.0.1", opts.Common), "proxy": KubeProxy(opts.Common),
		"manager": server.ControllerManager(), "scheduler": server.Scheduler(),
	} {
		if !slices.Contains(args, "--v="+want) {
			t.Errorf("%s: %v", want, args)
		}
	}
}

func TestContainerdUsesTheChosenSnapshotterAndOurPauseImage(t *testing.T) {
	text := Containerd("native")
	for _, want := range []string{`snapshotter = "native"`, `sandbox_image = "` + PauseImage + `"`, "restrict_oom_score_adj = true"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

func TestPodNetworkHasTheNodesOwnRange(t *testing.T) {
	text, err := CNI("10.42.7.0/24")
	if err != nil || !json.Valid(text) || !strings.Contains(string(text), `"subnet": "10.42.7.0/24"`) {
		t.Fatalf("%s %v", text, err)
	}
}

func TestPodsDoNotGetALoopbackResolver(t *testing.T) {
	cases := map[string]struct {
		machine, want string
		upstream      bool
	}{
		"engine's own":  {"search lan\nnameserver 127.0.0.11\noptions ndots:0\n", "search lan\noptions ndots:0\n", false},
		"a real one":    {"# made by hand\nnameserver 10.1.1.1\n", "nameserver 10.1.1.1\n", true},
		"both":          {"nameserver ::1\nnameserver 10.1.1.1\n", "nameserver 10.1.1.1\n", true},
		"none":          {"", "", false},
		"half a line":   {"nameserver\n", "", false},
		"not a address": {"nameserver dns.example\n", "", false},
	}
	for name, c := range cases {
		if got, upstream := ResolvConf(c.machine); got != c.want || upstream != c.upstream {
			t.Errorf("%s: got %q %v", name, got, upstream)
		}
	}
}

func TestKubeconfigCarriesCertificateOrToken(t *testing.T) {
	cert := string(ClientConfig(Access{Server: "https://127.0.0.1:6443", CA: []byte("ca"), Cert: []byte("c"), Key: []byte("k")}))
	for _, want := range []string{"server: https://127.0.0.1:6443\n", "certificate-authority-data: Y2E=\n", "client-certificate-data: Yw==\n", "client-key-data: aw==\n", "current-context: default\n"} {
		if !strings.Contains(cert, want) {
			t.Errorf("no %q in\n%s", want, cert)
		}
	}
	token := string(ClientConfig(Access{Server: "https://a:1", ServerName: "kubernetes", CA: []byte("ca"), Token: "a.b"}))
	if !strings.Contains(token, "token: a.b\n") || !strings.Contains(token, "tls-server-name: kubernetes\n") || strings.Contains(token, "client-") {
		t.Errorf("got\n%s", token)
	}
}
