// Certificates of webhooks, in place of cert-manager.

package components

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

const (
	certificateGroup = "cert-manager.io/v1"
	injectFrom       = "cert-manager.io/inject-ca-from"
	lifetime         = 365 * 24 * time.Hour
)

// issued is a certificate with its key and its authority, as PEM.
type issued struct{ certificate, key, authority []byte }

// certify puts Secrets with certificates in the place of the requests for them, and tells the authority to whoever is to
// be told.
func certify(objects []object, now time.Time) ([]object, error) {
	var kept []object
	authorities := map[string][]byte{}
	for _, o := range objects {
		if o["apiVersion"] != certificateGroup {
			kept = append(kept, o)
			continue
		}
		if o["kind"] != "Certificate" {
			continue
		}
		metadata, _ := o["metadata"].(object)
		spec, _ := o["spec"].(object)
		names, err := texts(spec["dnsNames"])
		if err != nil {
			return nil, fmt.Errorf("Certificate %s: dnsNames: %w", name(o), err)
		}
		made, err := issue(names, now)
		if err != nil {
			return nil, fmt.Errorf("Certificate %s: %w", name(o), err)
		}
		authorities[fmt.Sprintf("%v/%v", metadata["namespace"], metadata["name"])] = made.authority
		encode := base64.StdEncoding.EncodeToString
		kept = append(kept, object{
			"apiVersion": "v1",
			"kind":       "Secret",
			"type":       "kubernetes.io/tls",
			"metadata":   object{"name": spec["secretName"], "namespace": metadata["namespace"]},
			"data": object{
				"ca.crt": encode(made.authority), "tls.crt": encode(made.certificate), "tls.key": encode(made.key),
			},
		})
	}
	for _, o := range kept {
		if err := inject(o, authorities); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

func inject(o object, authorities map[string][]byte) error {
	metadata, _ := o["metadata"].(object)
	annotations, _ := metadata["annotations"].(object)
	from, ok := annotations[injectFrom].(string)
	if !ok {
		return nil
	}
	authority, ok := authorities[from]
	if !ok {
		return fmt.Errorf("%v %s wants the authority of %s, which there is no Certificate of", o["kind"], name(o), from)
	}
	delete(annotations, injectFrom)
	bundle := base64.StdEncoding.EncodeToString(authority)
	if o["kind"] == "CustomResourceDefinition" {
		spec, _ := o["spec"].(object)
		conversion, _ := spec["conversion"].(object)
		webhook, ok := conversion["webhook"].(object)
		if !ok {
			// One version, nothing to convert.
			return nil
		}
		config, _ := webhook["clientConfig"].(object)
		config["caBundle"] = bundle
		return nil
	}
	webhooks, err := list(o, "webhooks")
	if err != nil {
		return err
	}
	for _, webhook := range webhooks {
		config, _ := webhook["clientConfig"].(object)
		config["caBundle"] = bundle
	}
	return nil
}

func issue(names []string, now time.Time) (issued, error) {
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return issued{}, err
	}
	// Clocks of clusters may be a little behind.
	begin := now.Add(-time.Hour)
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "webhooks"},
		NotBefore: begin, NotAfter: now.Add(lifetime),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, &authorityKey.PublicKey, authorityKey)
	if err != nil {
		return issued{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return issued{}, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: begin, NotAfter: now.Add(lifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, authority, &key.PublicKey, authorityKey)
	if err != nil {
		return issued{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return issued{}, err
	}
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	return issued{
		certificate: block("CERTIFICATE", leafDER),
		key:         block("PRIVATE KEY", keyDER),
		authority:   block("CERTIFICATE", authorityDER),
	}, nil
}

func texts(value any) ([]string, error) {
	items, _ := value.([]any)
	var found []string
	for _, item := range items {
		text, ok := item.(string)
		if !ok {
			return nil, fmt.Errorf("%v is no text", item)
		}
		found = append(found, text)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there are none")
	}
	return found, nil
}
