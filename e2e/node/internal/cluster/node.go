// The Node object and the kubelet's certificate, and what has to be true before a node is up.

package cluster

import (
	"context"
	"fmt"
	"time"

	certificates "k8s.io/api/certificates/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/finos/5spot-rs/e2e/node/internal/pki"
)

// Register makes the Node object before the kubelet does, so that its pod range is known before the kubelet first
// looks for a pod network: it looks only every 5 s. podCIDR is empty where kube-controller-manager is to choose.
// A Node that is there already, because its container was started again, is marked as not Ready until its kubelet
// says otherwise.
func (c *Client) Register(ctx context.Context, name, podCIDR string, labels map[string]string) error {
	node := &core.Node{
		ObjectMeta: meta.ObjectMeta{Name: name, Labels: map[string]string{core.LabelHostname: name}},
	}
	for key, value := range labels {
		node.Labels[key] = value
	}
	if podCIDR != "" {
		node.Spec.PodCIDR, node.Spec.PodCIDRs = podCIDR, []string{podCIDR}
	}
	_, err := c.core.Nodes().Create(ctx, node, meta.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = c.core.Nodes().Patch(ctx, name, types.StrategicMergePatchType, startingAgain(time.Now()), meta.PatchOptions{}, "status")
	}
	if err != nil {
		return fmt.Errorf("register node %s: %w", name, err)
	}
	return nil
}

func startingAgain(now time.Time) []byte {
	at := now.UTC().Format(time.RFC3339)
	return fmt.Appendf(nil, `{"status":{"conditions":[{"type":%q,"status":%q,"reason":"Starting","message":"the node starts again",`+
		`"lastHeartbeatTime":%q,"lastTransitionTime":%q}]}}`, core.NodeReady, core.ConditionUnknown, at, at)
}

// PodCIDR gives the node's pod range.
func (c *Client) PodCIDR(ctx context.Context, name string) (string, error) {
	node, err := c.core.Nodes().Get(ctx, name, meta.GetOptions{})
	if err != nil {
		return "", err
	}
	if node.Spec.PodCIDR == "" {
		return "", fmt.Errorf("node %s has no pod range yet", name)
	}
	return node.Spec.PodCIDR, nil
}

// NodeReady succeeds when pods can be scheduled to the node.
func (c *Client) NodeReady(ctx context.Context, name string) error {
	node, err := c.core.Nodes().Get(ctx, name, meta.GetOptions{})
	if err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type != core.NodeReady {
			continue
		}
		if condition.Status != core.ConditionTrue {
			return fmt.Errorf("node %s is not Ready: %s", name, condition.Message)
		}
		for _, taint := range node.Spec.Taints {
			if taint.Key == core.TaintNodeNotReady {
				return fmt.Errorf("node %s still has the taint %s", name, taint.Key)
			}
		}
		return nil
	}
	return fmt.Errorf("node %s has not reported its state", name)
}

// DefaultAccount succeeds when pods can be made in the default namespace.
func (c *Client) DefaultAccount(ctx context.Context) error {
	_, err := c.core.ServiceAccounts("default").Get(ctx, "default", meta.GetOptions{})
	return err
}

// CertificateRequest asks for the client certificate of a kubelet; it gives the request's name and the key.
func (c *Client) CertificateRequest(ctx context.Context, node string) (name string, key []byte, err error) {
	request, key, err := pki.Request(pki.Subject{CommonName: "system:node:" + node, Organization: "system:nodes"})
	if err != nil {
		return "", nil, err
	}
	made, err := c.certificates.CertificateSigningRequests().Create(ctx, &certificates.CertificateSigningRequest{
		ObjectMeta: meta.ObjectMeta{GenerateName: "node-" + node + "-"},
		Spec: certificates.CertificateSigningRequestSpec{
			Request:    request,
			SignerName: certificates.KubeAPIServerClientKubeletSignerName,
			Usages:     []certificates.KeyUsage{certificates.UsageDigitalSignature, certificates.UsageClientAuth},
		},
	}, meta.CreateOptions{})
	if err != nil {
		return "", nil, err
	}
	return made.Name, key, nil
}

// Certificate gives the certificate of a request once it is approved and signed.
func (c *Client) Certificate(ctx context.Context, request string) ([]byte, error) {
	got, err := c.certificates.CertificateSigningRequests().Get(ctx, request, meta.GetOptions{})
	if err != nil {
		return nil, err
	}
	for _, condition := range got.Status.Conditions {
		if condition.Type == certificates.CertificateDenied || condition.Type == certificates.CertificateFailed {
			return nil, Permanent(fmt.Errorf("certificate request %s: %s: %s", request, condition.Type, condition.Message))
		}
	}
	if len(got.Status.Certificate) == 0 {
		return nil, fmt.Errorf("certificate request %s is not signed yet", request)
	}
	return got.Status.Certificate, nil
}

// StartLimit bounds each wait of a node's start.
const StartLimit = 3 * time.Minute
