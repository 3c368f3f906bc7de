package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func authority(t *testing.T, dir string) *Authority {
	t.Helper()
	ca, err := LoadOrCreateAuthority(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestIssuedCertificateIsValidForItsNamesAsServerAndClient(t *testing.T) {
	ca := authority(t, t.TempDir())
	pair, err := ca.Issue(Subject{CommonName: "system:node:n1", Organization: "system:nodes", Names: []string{"kubernetes", "127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ParseCertificate(pair.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate)
	for _, name := range []string{"kubernetes", "127.0.0.1"} {
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if cert.Subject.CommonName != "system:node:n1" || cert.Subject.Organization[0] != "system:nodes" {
		t.Errorf("subject %s", cert.Subject)
	}
}

func TestAuthorityAndSigningKeySurviveARestart(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "sa.key")
	if err := SigningKey(key); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(key)
	first := authority(t, dir)
	if err := SigningKey(key); err != nil {
		t.Fatal(err)
	}
	after, _ := os.ReadFile(key)
	if second := authority(t, dir); string(first.PEM) != string(second.PEM) || string(before) != string(after) {
		t.Fatal("made anew")
	}
}

func TestDamagedAuthorityIsReportedAndNotReplaced(t *testing.T) {
	dir := t.TempDir()
	authority(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), []byte("junk"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateAuthority(dir, "ca"); err == nil || !strings.Contains(err.Error(), "authority ca") {
		t.Fatalf("got %v", err)
	}
}

func TestTokenFormsAreReadBack(t *testing.T) {
	ca := authority(t, t.TempDir())
	full := Token{Secret: "s3:cret"}.Full(ca.Certificate)
	got, err := ParseToken(full)
	if err != nil || got.Secret != "s3:cret" || got.Fingerprint != fingerprint(ca.Certificate) {
		t.Fatalf("%s: got %+v, %v", full, got, err)
	}
	if got, err := ParseToken("plain"); err != nil || got != (Token{Secret: "plain"}) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := ParseToken("K10abc::server:x"); err == nil || strings.Contains(err.Error(), "abc") {
		t.Fatalf("got %v", err)
	}
}

func TestBootstrapTokenHasTheFormThatKubernetesAsksFor(t *testing.T) {
	id, secret := Token{Secret: "x"}.Bootstrap()
	if !regexp.MustCompile(`^[a-z0-9]{6}\.[a-z0-9]{16}$`).MatchString(id + "." + secret) {
		t.Fatalf("got %s.%s", id, secret)
	}
	if otherID, otherSecret := (Token{Secret: "y"}).Bootstrap(); otherID == id || otherSecret == secret {
		t.Fatal("does not depend on the secret")
	}
}

// serve presents the given chain on a port of this machine until the test ends.
func serve(t *testing.T, pair Pair, chain []byte) string {
	t.Helper()
	cert, err := tls.X509KeyPair(chain, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func(c net.Conn) { c.(*tls.Conn).Handshake(); c.Close() }(conn)
		}
	}()
	return listener.Addr().String()
}

func TestAuthorityIsTakenFromTheServerOnlyWhenTheTokenPinsIt(t *testing.T) {
	ca, other := authority(t, t.TempDir()), authority(t, t.TempDir())
	issue := func(a *Authority, names ...string) Pair {
		pair, err := a.Issue(Subject{CommonName: "kube-apiserver", Names: names})
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	join := func(parts ...[]byte) []byte {
		return []byte(strings.Join([]string{string(parts[0]), string(parts[1])}, ""))
	}
	good := issue(ca, ServerName)
	address := serve(t, good, join(good.Certificate, ca.PEM))

	pinned, _ := ParseToken(Token{Secret: "x"}.Full(ca.Certificate))
	for _, token := range []Token{pinned, {Secret: "x"}} {
		if got, err := token.FetchAuthority(address); err != nil || string(got) != string(ca.PEM) {
			t.Errorf("got %s, %v", got, err)
		}
	}
	wrong, _ := ParseToken(Token{Secret: "x"}.Full(other.Certificate))
	if _, err := wrong.FetchAuthority(address); err == nil || !strings.Contains(err.Error(), "is not the one that the token names") {
		t.Errorf("other authority: got %v", err)
	}
	forged := issue(other, ServerName)
	if _, err := pinned.FetchAuthority(serve(t, forged, join(forged.Certificate, ca.PEM))); !errors.Is(err, ErrUntrusted) {
		t.Error("a certificate of another authority was accepted beside the pinned one")
	}
	node := issue(ca, "n1")
	if _, err := pinned.FetchAuthority(serve(t, node, join(node.Certificate, ca.PEM))); !errors.Is(err, ErrUntrusted) {
		t.Error("a certificate that is not the API server's was accepted")
	}
	if _, err := pinned.FetchAuthority(serve(t, good, good.Certificate)); err == nil || !strings.Contains(err.Error(), "does not present") {
		t.Errorf("no chain: got %v", err)
	}
}
