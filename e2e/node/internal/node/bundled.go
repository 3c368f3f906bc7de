// Objects that the server brings along: rights of nodes, the join token's secret, and DNS.

package node

import (
	"bytes"
	"embed"
	"fmt"
	"text/template"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/finos/5spot-rs/e2e/node/internal/config"
	"github.com/finos/5spot-rs/e2e/node/internal/manifest"
	"github.com/finos/5spot-rs/e2e/node/internal/pki"
)

//go:embed bundled/*.yaml
var bundled embed.FS

// accessObjects are what nodes need to join and to work.
func accessObjects(token pki.Token) ([]*unstructured.Unstructured, error) {
	id, secret := token.Bootstrap()
	return render("access.yaml", struct{ TokenID, TokenSecret string }{id, secret})
}

// dnsObjects are the cluster's DNS; forward says whether names outside the cluster can be resolved.
func dnsObjects(forward bool) ([]*unstructured.Unstructured, error) {
	return render("coredns.yaml", struct {
		Image, DNSService string
		Forward           bool
	}{config.CoreDNSImage, config.DNSService, forward})
}

func render(name string, values any) ([]*unstructured.Unstructured, error) {
	parsed, err := template.ParseFS(bundled, "bundled/"+name)
	if err != nil {
		return nil, fmt.Errorf("bundled manifest %s: %w", name, err)
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, values); err != nil {
		return nil, fmt.Errorf("bundled manifest %s: %w", name, err)
	}
	objects, err := manifest.Parse(text.Bytes())
	if err != nil {
		return nil, fmt.Errorf("bundled manifest %s: %w", name, err)
	}
	return objects, nil
}
