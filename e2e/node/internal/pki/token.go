// The join token: its two forms, the bootstrap token derived from it, and the check of a server against it.

package pki

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"regexp"
	"time"
)

// Token is what a node joins with. In its full form, K10<fingerprint>::server:<secret>, it also pins the cluster's
// certificate authority; the secret alone trusts whoever answers first, as with k3s.
type Token struct {
	Fingerprint string // SHA-256 of the authority's certificate in hex; empty in the short form
	Secret      string
}

var fullToken = regexp.MustCompile(`^K10([0-9a-f]{64})::[a-z]+:(.+)$`)

// ParseToken reads either form.
func ParseToken(text string) (Token, error) {
	if match := fullToken.FindStringSubmatch(text); match != nil {
		return Token{Fingerprint: match[1], Secret: match[2]}, nil
	}
	if len(text) >= 3 && text[:3] == "K10" {
		return Token{}, errors.New("the token starts with K10 but is not of the form K10<64 hex digits>::server:<secret>")
	}
	return Token{Secret: text}, nil
}

// Full gives the form that pins the authority.
func (t Token) Full(authority *x509.Certificate) string {
	return "K10" + fingerprint(authority) + "::server:" + t.Secret
}

// Bootstrap derives the bootstrap token (kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens) that the
// API server accepts from a joining node. Both ends derive it, so the secret itself is never sent.
func (t Token) Bootstrap() (id, secret string) {
	derive := func(purpose string) string {
		mac := hmac.New(sha256.New, []byte(t.Secret))
		mac.Write([]byte(purpose))
		return hex.EncodeToString(mac.Sum(nil))
	}
	return derive("bootstrap token id")[:6], derive("bootstrap token secret")[:16]
}

// ServerName is a name in every API server certificate of this node, whatever address a client uses.
const ServerName = "kubernetes"

// ErrUntrusted marks a server that is not the one the token is for. Asking again gives the same answer.
var ErrUntrusted = errors.New("not the server that the token is for")

// FetchAuthority gets the authority's certificate, in PEM, from the chain that the API server at address presents.
// The chain must hold together, and with a full token the authority must be the pinned one.
func (t Token) FetchAuthority(address string) ([]byte, error) {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	// The chain is checked below, against the authority that it brings and that the token pins.
	conn, err := tls.DialWithDialer(dialer, "tcp", address, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec
	if err != nil {
		return nil, fmt.Errorf("connect to the server at %s: %w", address, err)
	}
	defer conn.Close()
	chain := conn.ConnectionState().PeerCertificates
	authority := chain[len(chain)-1]
	if !authority.IsCA {
		return nil, fmt.Errorf("%s is %w: it does not present its certificate authority", address, ErrUntrusted)
	}
	if t.Fingerprint != "" && t.Fingerprint != fingerprint(authority) {
		return nil, fmt.Errorf("%s is %w: its certificate authority is not the one that the token names", address, ErrUntrusted)
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: ServerName}); err != nil {
		return nil, fmt.Errorf("%s is %w: its certificate: %w", address, ErrUntrusted, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw}), nil
}

func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}
