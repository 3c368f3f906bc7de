package components

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

var now = time.Now()

func module(t *testing.T) string {
	t.Helper()
	// The tests import nothing of it, so nothing else has fetched it on a new machine.
	if out, err := exec.Command("go", "mod", "download", "sigs.k8s.io/cluster-api").CombinedOutput(); err != nil {
		t.Fatalf("go mod download: %v: %s", err, out)
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/cluster-api").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.TrimSpace(string(out))
}

func render(t *testing.T, component Component) []object {
	t.Helper()
	text, err := component.Render(module(t), "image:v1", now)
	if err != nil {
		t.Fatal(err)
	}
	var objects []object
	for _, document := range strings.Split(string(text), "\n---\n") {
		var o object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	return objects
}

func TestEveryComponentRunsFromTheImageWithoutCertManagerOrVariables(t *testing.T) {
	for _, component := range All {
		deployments := 0
		for _, o := range render(t, component) {
			if o["apiVersion"] == certificateGroup {
				t.Errorf("%s: %v %s is left", component.Config, o["kind"], name(o))
			}
			if o["kind"] != "Deployment" {
				continue
			}
			deployments++
			containers, err := list(o, "spec", "template", "spec", "containers")
			if err != nil {
				t.Fatal(err)
			}
			for _, container := range containers {
				if container["image"] != "image:v1" || container["imagePullPolicy"] != "Never" {
					t.Errorf("%s: %v %v", component.Config, container["image"], container["imagePullPolicy"])
				}
			}
			text, _ := yaml.Marshal(o)
			if strings.Contains(string(text), "${") {
				t.Errorf("%s: a variable is left:\n%s", component.Config, text)
			}
		}
		if deployments != 1 {
			t.Errorf("%s: %d Deployments", component.Config, deployments)
		}
	}
}

// Whoever calls a webhook is told the authority of exactly the certificate that it shows.
func TestEveryWebhookIsTrustedByItsCallers(t *testing.T) {
	for _, component := range All {
		var secret object
		bundles := map[string]string{}
		objects := render(t, component)
		for _, o := range objects {
			if o["kind"] == "Secret" {
				secret, _ = o["data"].(object)
			}
			if kind, _ := o["kind"].(string); strings.HasSuffix(kind, "WebhookConfiguration") {
				webhooks, err := list(o, "webhooks")
				if err != nil {
					t.Fatal(err)
				}
				for _, webhook := range webhooks {
					config, _ := webhook["clientConfig"].(object)
					bundles[kind], _ = config["caBundle"].(string)
				}
			}
			if o["kind"] == "CustomResourceDefinition" {
				spec, _ := o["spec"].(object)
				conversion, _ := spec["conversion"].(object)
				if webhook, ok := conversion["webhook"].(object); ok {
					config, _ := webhook["clientConfig"].(object)
					bundles[name(o)], _ = config["caBundle"].(string)
				}
			}
		}
		if len(bundles) < 3 {
			t.Fatalf("%s: only %d webhooks", component.Config, len(bundles))
		}
		decode := func(field string) []byte {
			text, _ := secret[field].(string)
			bytes, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				t.Fatalf("%s: %s: %v", component.Config, field, err)
			}
			return bytes
		}
		pair, err := tls.X509KeyPair(decode("tls.crt"), decode("tls.key"))
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if len(leaf.DNSNames) != 2 || !strings.HasSuffix(leaf.DNSNames[0], "-system.svc") {
			t.Errorf("%s: names %v", component.Config, leaf.DNSNames)
		}
		for of, bundle := range bundles {
			authority, err := base64.StdEncoding.DecodeString(bundle)
			if err != nil {
				t.Fatal(err)
			}
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(authority)
			options := x509.VerifyOptions{Roots: pool, DNSName: leaf.DNSNames[0]}
			if _, err := leaf.Verify(options); err != nil {
				t.Errorf("%s: %s does not trust the webhook: %v", component.Config, of, err)
			}
		}
	}
}

func TestWhatWantsTheAuthorityOfNobodyIsAnError(t *testing.T) {
	webhook := object{"kind": "CustomResourceDefinition", "metadata": object{
		"name": "a", "annotations": object{injectFrom: "there/missing"},
	}}
	if _, err := certify([]object{webhook}, now); err == nil || !strings.Contains(err.Error(), "there/missing") {
		t.Errorf("%v", err)
	}
}
