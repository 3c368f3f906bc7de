// Configuration files: containerd, kubelet, pod network, kubeconfigs and resolv.conf.

package config

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"strings"
)

// Containerd renders containerd's configuration. The OOM score of pods is kept at or above containerd's own, because
// lowering it takes CAP_SYS_RESOURCE, which not every machine can give to a container.
func Containerd(snapshotter string) string {
	return fmt.Sprintf(`version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = true
  disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = %q
  conf_dir = "/etc/cni/net.d"
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = %q
`, PauseImage, CNIBinDir, snapshotter)
}

// KubeletFiles are the files that the kubelet's configuration names.
type KubeletFiles struct{ ClientCA, ResolvConf string }

// Kubelet renders the kubelet's configuration (kubelet.config.k8s.io/v1beta1). Nothing is evicted or collected for
// want of disk: the disk is the machine's, and images loaded by hand could not be pulled again.
func Kubelet(files KubeletFiles) ([]byte, error) {
	return json.MarshalIndent(map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true},
			"x509":      map[string]any{"clientCAFile": files.ClientCA},
		},
		"authorization":               map[string]any{"mode": "Webhook"},
		"cgroupDriver":                "cgroupfs",
		"failSwapOn":                  false,
		"clusterDomain":               "cluster.local",
		"clusterDNS":                  []string{DNSService},
		"resolvConf":                  files.ResolvConf,
		"containerRuntimeEndpoint":    "unix://" + ContainerdSocket,
		"evictionHard":                map[string]string{"imagefs.available": "0%", "nodefs.available": "0%", "memory.available": "50Mi"},
		"imageGCHighThresholdPercent": 100,
	}, "", "  ")
}

// CNI renders the pod network: a routed veth pair per pod. Every packet between pods passes the node's IP layer, so
// Services work without the br_netfilter module, which a container could not load.
func CNI(podCIDR string) ([]byte, error) {
	return json.MarshalIndent(map[string]any{
		"cniVersion": "0.4.0",
		"name":       "node",
		"plugins": []any{
			map[string]any{
				"type": "ptp",
				"ipam": map[string]any{
					"type":   "host-local",
					"ranges": [][]map[string]string{{{"subnet": podCIDR}}},
					"routes": []map[string]string{{"dst": "0.0.0.0/0"}},
				},
			},
			map[string]any{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}},
		},
	}, "", "  ")
}

// Access says how a client reaches the API server and who it is there.
type Access struct {
	Server     string
	ServerName string // the name to check in the server's certificate when it is not the host in Server
	CA         []byte
	Cert, Key  []byte
	Token      string // instead of Cert and Key
}

// ClientConfig renders a kubeconfig with the names that k3s gives cluster, user and context.
func ClientConfig(access Access) []byte {
	encode := base64.StdEncoding.EncodeToString
	var text strings.Builder
	fmt.Fprintf(&text, "apiVersion: v1\nkind: Config\nclusters:\n- name: default\n  cluster:\n    server: %s\n", access.Server)
	if access.ServerName != "" {
		fmt.Fprintf(&text, "    tls-server-name: %s\n", access.ServerName)
	}
	fmt.Fprintf(&text, "    certificate-authority-data: %s\nusers:\n- name: default\n  user:\n", encode(access.CA))
	if access.Token != "" {
		fmt.Fprintf(&text, "    token: %s\n", access.Token)
	} else {
		fmt.Fprintf(&text, "    client-certificate-data: %s\n    client-key-data: %s\n", encode(access.Cert), encode(access.Key))
	}
	text.WriteString("contexts:\n- name: default\n  context:\n    cluster: default\n    user: default\ncurrent-context: default\n")
	return []byte(text.String())
}

// ResolvConf gives what pods may use of the machine's resolv.conf. A resolver on a loopback address, such as the
// container engine's own, can't be reached from a pod; upstream says whether a name server is left.
func ResolvConf(machine string) (text string, upstream bool) {
	var kept strings.Builder
	for _, line := range strings.Split(machine, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if fields[0] == "nameserver" {
			if len(fields) < 2 || net.ParseIP(fields[1]) == nil || net.ParseIP(fields[1]).IsLoopback() {
				continue
			}
			upstream = true
		}
		kept.WriteString(line + "\n")
	}
	return kept.String(), upstream
}
