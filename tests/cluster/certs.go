package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"time"
)

// authority signs everything in one control plane: its servers and its users.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

// keyPair is a certificate and its private key, PEM encoded.
type keyPair struct{ certificate, key []byte }

// newPKI makes the authority, the serving certificate that all components share, and the key that
// signs ServiceAccount tokens.
func newPKI(l layout) (authority, error) {
	ca, err := newAuthority()
	if err != nil {
		return authority{}, err
	}
	caKey, err := encodeKey(ca.key)
	if err != nil {
		return authority{}, err
	}
	server, err := ca.issueServer()
	if err != nil {
		return authority{}, err
	}
	accounts, err := newKey()
	if err != nil {
		return authority{}, err
	}
	accountsKey, err := encodeKey(accounts)
	if err != nil {
		return authority{}, err
	}
	accountsPublic, err := x509.MarshalPKIXPublicKey(accounts.Public())
	if err != nil {
		return authority{}, err
	}
	for name, content := range map[string][]byte{
		"ca.crt":     ca.pem,
		"ca.key":     caKey,
		"server.crt": server.certificate,
		"server.key": server.key,
		"sa.key":     accountsKey,
		"sa.pub":     pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: accountsPublic}),
	} {
		if err := os.WriteFile(l.pki(name), content, 0o600); err != nil {
			return authority{}, err
		}
	}
	return ca, nil
}

func newAuthority() (authority, error) {
	key, err := newKey()
	if err != nil {
		return authority{}, err
	}
	template := certificateTemplate(pkix.Name{CommonName: "rempart test control plane"})
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return authority{}, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return authority{}, err
	}
	return authority{certificate, key, encodeCertificate(der)}, nil
}

// loadAuthority reads the authority of a control plane that is up.
func loadAuthority(l layout) (authority, error) {
	certificate, err := os.ReadFile(l.pki("ca.crt"))
	if err != nil {
		return authority{}, err
	}
	key, err := os.ReadFile(l.pki("ca.key"))
	if err != nil {
		return authority{}, err
	}
	certificateBlock, _ := pem.Decode(certificate)
	keyBlock, _ := pem.Decode(key)
	if certificateBlock == nil || keyBlock == nil {
		return authority{}, fmt.Errorf("the certificate authority in %s is damaged; run `cluster down` and `cluster up`", l.dir)
	}
	parsed, err := x509.ParseCertificate(certificateBlock.Bytes)
	if err != nil {
		return authority{}, err
	}
	signer, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return authority{}, err
	}
	return authority{parsed, signer, certificate}, nil
}

// issueUser makes a client certificate; the API server reads the user from its common name and the
// groups from its organisations.
func (a authority) issueUser(user string, groups []string) (keyPair, error) {
	template := certificateTemplate(pkix.Name{CommonName: user, Organization: groups})
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.issue(template)
}

func (a authority) issueServer() (keyPair, error) {
	template := certificateTemplate(pkix.Name{CommonName: "control plane on loopback"})
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	template.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	return a.issue(template)
}

func (a authority) issue(template *x509.Certificate) (keyPair, error) {
	key, err := newKey()
	if err != nil {
		return keyPair{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return keyPair{}, err
	}
	encoded, err := encodeKey(key)
	if err != nil {
		return keyPair{}, err
	}
	return keyPair{encodeCertificate(der), encoded}, nil
}

// certificateTemplate is valid from an hour ago, so that a clock set back a little does no harm.
func certificateTemplate(subject pkix.Name) *x509.Certificate {
	now := time.Now()
	// Without a serial number, CreateCertificate draws a random one.
	return &x509.Certificate{
		Subject:   subject,
		NotBefore: now.Add(-time.Hour),
		NotAfter:  now.AddDate(1, 0, 0),
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
}

func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
