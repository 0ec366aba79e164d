// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Application protocols of the peer listener.
const (
	ProtoRaft = "pilot-raft/1"
	ProtoRPC  = "pilot-rpc/1"
	ProtoJoin = "pilot-join/1"
)

// Identity is who this member is: its certificate and the authorities it
// trusts. Both can be exchanged while connections use it; connections that
// exist stay.
type Identity struct {
	ClusterID string
	MemberID  string
	// Now is the time at which certificates of others are judged, time.Now when
	// nil. It is set before the identity is used.
	Now   func() time.Time
	creds atomic.Pointer[credentials]
}

// credentials are exchanged as a whole.
type credentials struct {
	cert   tls.Certificate
	issuer *x509.Certificate
	trust  trust
}

// NewIdentity checks that the certificate was issued by one of the authorities
// for exactly this cluster and member, and that the key fits. A certificate
// that has ended is taken: who it is shown to judges that.
func NewIdentity(clusterID, memberID string, caPEM, certPEM, keyPEM []byte) (*Identity, error) {
	id := &Identity{ClusterID: clusterID, MemberID: memberID}
	if err := id.Use(caPEM, certPEM, keyPEM); err != nil {
		return nil, err
	}
	return id, nil
}

// Use exchanges authorities, certificate and key, which it checks as
// NewIdentity does. After an error all is as it was.
func (id *Identity) Use(caPEM, certPEM, keyPEM []byte) error {
	trust, err := parseTrust(caPEM)
	if err != nil {
		return err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return fmt.Errorf("member certificate: %w", err)
	}
	issuer := trust.issuer(cert.Leaf)
	if issuer == nil {
		return fmt.Errorf("member certificate: %w", notIssued(id.ClusterID))
	}
	got, err := memberOf(cert.Leaf, id.ClusterID)
	if err != nil {
		return fmt.Errorf("member certificate: %w", err)
	}
	if got != id.MemberID {
		return fmt.Errorf("member certificate is for member %s, not %s", got, id.MemberID)
	}
	// A joining machine knows only the hash of the CA, so the chain carries it.
	cert.Certificate = append(cert.Certificate[:1:1], issuer.Raw)
	id.creds.Store(&credentials{cert: cert, issuer: issuer, trust: trust})
	return nil
}

// shown is the certificate that others see.
func (id *Identity) shown() *tls.Certificate { return &id.creds.Load().cert }

// Validity is from when to when the member's certificate is valid.
func (id *Identity) Validity() (from, to time.Time) {
	leaf := id.shown().Leaf
	return leaf.NotBefore, leaf.NotAfter
}

// Expiry is when the member's certificate and that of the CA that issued it end.
func (id *Identity) Expiry() (member, ca time.Time) {
	c := id.creds.Load()
	return c.cert.Leaf.NotAfter, c.issuer.NotAfter
}

// CAHash is the hex SHA-256 of the CA certificate that issued the member's.
func (id *Identity) CAHash() string { return certHash(id.creds.Load().issuer.Raw) }

// verify returns the member id of a certificate of this cluster.
func (id *Identity) verify(leaf *x509.Certificate, usage x509.ExtKeyUsage) (string, error) {
	now := time.Now
	if id.Now != nil {
		now = id.Now
	}
	return id.creds.Load().trust.verify(leaf, id.ClusterID, usage, now())
}

// serverConfig is the TLS side of the listener. Members must show a
// certificate; a joining machine has none yet.
func (id *Identity) serverConfig() *tls.Config {
	base := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return id.shown(), nil },
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
		Certificates:       []tls.Certificate{*id.shown()},
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
			var pinned trust
			for _, cert := range cs.PeerCertificates {
				if cert.IsCA && certHash(cert.Raw) == caHash {
					pinned.add(cert)
				}
			}
			if pinned.certs == nil {
				return fmt.Errorf("%w (its CA is not the one the join token names)", ErrForeignCluster)
			}
			_, err := pinned.verify(cs.PeerCertificates[0], clusterID, x509.ExtKeyUsageServerAuth, time.Now())
			return err
		},
	}
}
