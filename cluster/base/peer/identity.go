// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Application protocols of the peer listener.
const (
	ProtoRaft = "pilot-raft/1"
	ProtoRPC  = "pilot-rpc/1"
	ProtoJoin = "pilot-join/1"
)

// Identity is who this member is: its certificate and the authority it trusts.
type Identity struct {
	ClusterID string
	MemberID  string
	cert      tls.Certificate
	roots     *x509.CertPool
	caHash    string
	// expires and caExpires are when the certificates end.
	expires, caExpires time.Time
}

// NewIdentity checks that the certificate was issued by the authority for
// exactly this cluster and member, and that the key fits.
func NewIdentity(clusterID, memberID string, caPEM, certPEM, keyPEM []byte) (*Identity, error) {
	caDER, err := pemBlock(caPEM, "CERTIFICATE")
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	ca, err := x509.ParseCertificate(caDER)
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("member certificate: %w", err)
	}
	// A joining machine knows only the hash of the CA, so the chain carries it.
	cert.Certificate = append(cert.Certificate[:1:1], caDER)
	id := &Identity{ClusterID: clusterID, MemberID: memberID, cert: cert, roots: x509.NewCertPool(), caHash: certHash(caDER)}
	id.roots.AddCert(ca)
	id.caExpires = ca.NotAfter
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("member certificate: %w", err)
	}
	id.expires = leaf.NotAfter
	got, err := id.verify(leaf, x509.ExtKeyUsageServerAuth)
	if err != nil {
		return nil, fmt.Errorf("member certificate: %w", err)
	}
	if got != memberID {
		return nil, fmt.Errorf("member certificate is for member %s, not %s", got, memberID)
	}
	return id, nil
}

// Expiry is when the member's certificate and that of the cluster's CA end.
func (id *Identity) Expiry() (member, ca time.Time) { return id.expires, id.caExpires }

// CAHash is the hex SHA-256 of the cluster's CA certificate.
func (id *Identity) CAHash() string { return id.caHash }

// verify returns the member id of a certificate of this cluster.
func (id *Identity) verify(leaf *x509.Certificate, usage x509.ExtKeyUsage) (string, error) {
	return verifyMember(leaf, id.roots, id.ClusterID, usage)
}

func verifyMember(leaf *x509.Certificate, roots *x509.CertPool, clusterID string, usage x509.ExtKeyUsage) (string, error) {
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}})
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return "", fmt.Errorf("%w (its certificate was not issued by the CA of cluster %s)", ErrForeignCluster, clusterID)
	case err != nil:
		return "", err
	}
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

// serverConfig is the TLS side of the listener. Members must show a
// certificate; a joining machine has none yet.
func (id *Identity) serverConfig() *tls.Config {
	base := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{id.cert},
		NextProtos:             []string{ProtoRaft, ProtoRPC, ProtoJoin},
		ClientAuth:             tls.RequireAnyClientCert,
		SessionTicketsDisabled: true,
	}
	join := base.Clone()
	join.NextProtos = []string{ProtoJoin}
	join.ClientAuth = tls.NoClientCert
	base.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == ProtoJoin {
			return join, nil
		}
		return nil, nil
	}
	return base
}

// clientConfig verifies that the member meant answers. Names are not checked
// by DNS: the certificate names the member, not a host.
func (id *Identity) clientConfig(proto, want string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{id.cert},
		NextProtos:         []string{proto},
		InsecureSkipVerify: true, // VerifyConnection below does the whole check.
		VerifyConnection: func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 {
				return errors.New("the peer showed no certificate")
			}
			got, err := id.verify(cs.PeerCertificates[0], x509.ExtKeyUsageServerAuth)
			if err != nil {
				return err
			}
			if want != "" && got != want {
				return fmt.Errorf("%w: wanted %s, reached %s", ErrWrongMember, want, got)
			}
			return nil
		},
	}
}

// pinnedConfig trusts whoever can show a chain to the CA with the given hash.
func pinnedConfig(clusterID, caHash string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{ProtoJoin},
		InsecureSkipVerify: true, // VerifyConnection below does the whole check.
		VerifyConnection: func(cs tls.ConnectionState) error {
			roots := x509.NewCertPool()
			found := false
			for _, cert := range cs.PeerCertificates {
				if cert.IsCA && certHash(cert.Raw) == caHash {
					roots.AddCert(cert)
					found = true
				}
			}
			if !found {
				return fmt.Errorf("%w (its CA is not the one the join token names)", ErrForeignCluster)
			}
			_, err := verifyMember(cs.PeerCertificates[0], roots, clusterID, x509.ExtKeyUsageServerAuth)
			return err
		},
	}
}
