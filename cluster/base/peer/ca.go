// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

// Validity of certificates. They are backdated so that machines that join
// with a clock that is off by hours accept them. Revocation is by the
// cluster's configuration, not by expiry.
const (
	caValidity = 30 * 365 * 24 * time.Hour
	// MemberValidity is how long the certificate of a member is valid.
	MemberValidity = 365 * 24 * time.Hour
	backdate       = 24 * time.Hour
)

// CA is the authority of one cluster, made when the cluster is initialised.
// Its key is kept only sealed in the replicated state.
type CA struct {
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	certPEM []byte
}

// NewCA makes the authority of a new cluster.
func NewCA(clusterID string) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate CA key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "pilot-registry cluster " + clusterID},
		NotBefore:             time.Now().Add(-backdate),
		NotAfter:              time.Now().Add(caValidity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("sign CA certificate: %w", err)
	}
	return newCA(der, key)
}

// ParseCA reads an authority from PEM.
func ParseCA(certPEM, keyPEM []byte) (*CA, error) {
	der, err := pemBlock(certPEM, "CERTIFICATE")
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	raw, err := pemBlock(keyPEM, "PRIVATE KEY")
	if err != nil {
		return nil, fmt.Errorf("CA key: %w", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(raw)
	if err != nil {
		return nil, fmt.Errorf("CA key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("CA key: not an ECDSA key")
	}
	ca, err := newCA(der, key)
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(ca.cert.PublicKey) {
		return nil, errors.New("CA key does not fit the CA certificate")
	}
	return ca, nil
}

func newCA(der []byte, key *ecdsa.PrivateKey) (*CA, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	return &CA{cert: cert, key: key, certPEM: encodePEM("CERTIFICATE", der)}, nil
}

// CertPEM is the public certificate.
func (c *CA) CertPEM() []byte { return c.certPEM }

// KeyPEM is the private key, PKCS #8.
func (c *CA) KeyPEM() ([]byte, error) { return keyPEM(c.key) }

// Hash is the hex SHA-256 of the certificate, as join tokens carry it.
func (c *CA) Hash() string { return certHash(c.cert.Raw) }

// KeyHash is the SHA-256 of the public key that a certificate request is for.
func KeyHash(csrDER []byte) ([]byte, error) {
	csr, err := x509.ParseCertificateRequest(csrDER)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	sum := sha256.Sum256(csr.RawSubjectPublicKeyInfo)
	return sum[:], nil
}

// SignMember issues the certificate of a member for the key in csrDER, at the
// time given. It ends no later than the authority's own. Names in the request
// are ignored: the caller decides who the member is.
func (c *CA) SignMember(csrDER []byte, clusterID, memberID string, now time.Time) ([]byte, error) {
	csr, err := x509.ParseCertificateRequest(csrDER)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: memberID},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(MemberValidity),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		URIs:                  []*url.URL{memberURI(clusterID, memberID)},
	}
	if template.NotAfter.After(c.cert.NotAfter) {
		template.NotAfter = c.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, csr.PublicKey, c.key)
	if err != nil {
		return nil, fmt.Errorf("sign member certificate: %w", err)
	}
	return encodePEM("CERTIFICATE", der), nil
}

// NewMemberKey makes a member's private key (PEM) and the certificate request (DER) for it.
func NewMemberKey() (keyPEMBytes, csrDER []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate member key: %w", err)
	}
	csrDER, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate request: %w", err)
	}
	keyPEMBytes, err = keyPEM(key)
	return keyPEMBytes, csrDER, err
}

func memberURI(clusterID, memberID string) *url.URL {
	return &url.URL{Scheme: "pilot", Host: clusterID, Path: "/member/" + memberID}
}

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("certificate serial: %w", err)
	}
	return serial, nil
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return encodePEM("PRIVATE KEY", der), nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pemBlock(data []byte, kind string) ([]byte, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("no PEM block of type %q", kind)
	}
	return block.Bytes, nil
}

func certHash(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
