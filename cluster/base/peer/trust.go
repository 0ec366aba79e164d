// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// trust are the authorities whose certificates make a member.
type trust struct {
	certs []*x509.Certificate
	roots *x509.CertPool
}

// parseTrust reads authorities in PEM, at least one.
func parseTrust(caPEM []byte) (trust, error) {
	var t trust
	for rest := caPEM; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return t, fmt.Errorf("CA certificate: a PEM block of type %q", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return t, fmt.Errorf("CA certificate: %w", err)
		}
		t.add(cert)
	}
	if t.certs == nil {
		return t, errors.New("CA certificate: no PEM block of type \"CERTIFICATE\"")
	}
	return t, nil
}

func (t *trust) add(ca *x509.Certificate) {
	if t.roots == nil {
		t.roots = x509.NewCertPool()
	}
	t.certs = append(t.certs, ca)
	t.roots.AddCert(ca)
}

// issuer is the authority that signed a certificate, nil when none did.
func (t *trust) issuer(leaf *x509.Certificate) *x509.Certificate {
	for _, ca := range t.certs {
		if leaf.CheckSignatureFrom(ca) == nil {
			return ca
		}
	}
	return nil
}

// verify returns the member that a certificate of the cluster is for. When it
// begins is not looked at: the machine that made it may have a clock that is
// ahead, and so may be the time that is given here be behind.
func (t *trust) verify(leaf *x509.Certificate, clusterID string, usage x509.ExtKeyUsage, now time.Time) (string, error) {
	for _, cert := range append([]*x509.Certificate{leaf}, t.certs...) {
		if now.Before(cert.NotBefore) {
			now = cert.NotBefore
		}
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: t.roots, KeyUsages: []x509.ExtKeyUsage{usage}, CurrentTime: now})
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return "", notIssued(clusterID)
	case err != nil:
		return "", err
	}
	return memberOf(leaf, clusterID)
}

func notIssued(clusterID string) error {
	return fmt.Errorf("%w (its certificate was not issued by the CA of cluster %s)", ErrForeignCluster, clusterID)
}

// memberOf is the member of the cluster that a certificate names.
func memberOf(leaf *x509.Certificate, clusterID string) (string, error) {
	for _, uri := range leaf.URIs {
		member, ok := strings.CutPrefix(uri.Path, "/member/")
		if uri.Scheme != "pilot" || !ok || member == "" {
			continue
		}
		if uri.Host != clusterID {
			return "", fmt.Errorf("%w (%s, not %s)", ErrForeignCluster, uri.Host, clusterID)
		}
		return member, nil
	}
	return "", errors.New("the peer's certificate names no member")
}
