package node

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/finos/5spot-rs/e2e/node/internal/config"
	"github.com/finos/5spot-rs/e2e/node/internal/pki"
)

func find(t *testing.T, objects []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() == kind && object.GetName() == name {
			return object
		}
	}
	t.Fatalf("no %s %s", kind, name)
	return nil
}

func TestBootstrapSecretCarriesTheTokenThatAnAgentDerives(t *testing.T) {
	token := pki.Token{Secret: "x"}
	objects, err := accessObjects(token)
	if err != nil {
		t.Fatal(err)
	}
	id, secret := token.Bootstrap()
	data, _, _ := unstructured.NestedStringMap(find(t, objects, "Secret", "bootstrap-token-"+id).Object, "stringData")
	if data["token-id"] != id || data["token-secret"] != secret || data["usage-bootstrap-authentication"] != "true" {
		t.Fatalf("got %v", data)
	}
}

func TestDNSForwardsOnlyWhereThereIsSomethingToForwardTo(t *testing.T) {
	for _, forward := range []bool{true, false} {
		objects, err := dnsObjects(forward)
		if err != nil {
			t.Fatal(err)
		}
		corefile, _, _ := unstructured.NestedString(find(t, objects, "ConfigMap", "coredns").Object, "data", "Corefile")
		if strings.Contains(corefile, "forward") != forward {
			t.Errorf("forward %v: %s", forward, corefile)
		}
		ip, _, _ := unstructured.NestedString(find(t, objects, "Service", "kube-dns").Object, "spec", "clusterIP")
		if ip != config.DNSService {
			t.Errorf("service at %q", ip)
		}
	}
}
