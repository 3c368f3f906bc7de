// Package pki makes the cluster's certificate authorities, certificates and signing keys, and the token form that
// carries the authority's fingerprint. The authorities survive a restart of the container; certificates are made anew
// at each start, because the node's address may have changed.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	authorityLifetime   = 10 * 365 * 24 * time.Hour
	certificateLifetime = 365 * 24 * time.Hour
	// Clocks of containers and clients may differ, and tests may step them: certificates are valid since a day.
	backdate = 24 * time.Hour
)

// Authority signs certificates.
type Authority struct {
	Certificate *x509.Certificate
	PEM         []byte
	key         *ecdsa.PrivateKey
}

// Pair is a certificate and its key, both in PEM.
type Pair struct{ Certificate, Key []byte }

// LoadOrCreateAuthority reads <dir>/<name>.crt and .key, or makes them when there is neither.
func LoadOrCreateAuthority(dir, name string) (*Authority, error) {
	authority, err := loadOrCreate(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"), name)
	if err != nil {
		return nil, fmt.Errorf("certificate authority %s in %s: %w", name, dir, err)
	}
	return authority, nil
}

func loadOrCreate(certPath, keyPath, name string) (*Authority, error) {
	cert, err := os.ReadFile(certPath)
	if errors.Is(err, fs.ErrNotExist) {
		pair, err := newAuthority(name)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(os.WriteFile(keyPath, pair.Key, 0o600), os.WriteFile(certPath, pair.Certificate, 0o644)); err != nil {
			return nil, err
		}
		return parseAuthority(pair)
	}
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(keyPath)
	if err != nil {
		return nil, err
	}
	return parseAuthority(Pair{Certificate: cert, Key: key})
}

func newAuthority(name string) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	return sign(template, template, key, key, authorityLifetime)
}

func parseAuthority(pair Pair) (*Authority, error) {
	cert, err := ParseCertificate(pair.Certificate)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(pair.Key)
	if block == nil {
		return nil, fmt.Errorf("key of %s is not PEM", cert.Subject.CommonName)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", cert.Subject.CommonName, err)
	}
	return &Authority{Certificate: cert, PEM: pair.Certificate, key: key}, nil
}

// Subject says who a certificate stands for; a server needs the names it is reached by.
type Subject struct {
	CommonName   string
	Organization string
	Names        []string // DNS names and IP addresses
}

// Issue makes a key and a certificate for it that serves as client and as server.
func (a *Authority) Issue(subject Subject) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("key for %s: %w", subject.CommonName, err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: subject.CommonName},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if subject.Organization != "" {
		template.Subject.Organization = []string{subject.Organization}
	}
	for _, name := range subject.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	pair, err := sign(template, a.Certificate, key, a.key, certificateLifetime)
	if err != nil {
		return Pair{}, fmt.Errorf("certificate for %s: %w", subject.CommonName, err)
	}
	return pair, nil
}

func sign(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey, lifetime time.Duration) (Pair, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return Pair{}, err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-backdate)
	template.NotAfter = time.Now().Add(lifetime)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return Pair{}, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: keyPEM}, nil
}

// SigningKey reads the key that signs ServiceAccount tokens from path, or makes it.
func SigningKey(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("service account key: %w", err)
	}
	encoded, err := encodeKey(key)
	if err != nil {
		return fmt.Errorf("service account key: %w", err)
	}
	return os.WriteFile(path, encoded, 0o600)
}

// Request makes a key and a certificate signing request for it, both in PEM.
func Request(subject Subject) (request, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("key for %s: %w", subject.CommonName, err)
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: subject.CommonName, Organization: []string{subject.Organization}}}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, private)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate request for %s: %w", subject.CommonName, err)
	}
	key, err = encodeKey(private)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), key, err
}

// ParseCertificate reads the first certificate of a PEM text.
func ParseCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM block found")
	}
	return x509.ParseCertificate(block.Bytes)
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
