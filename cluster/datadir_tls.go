// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
)

// Files of tls/.
const (
	fileCA      = "ca.pem"
	fileCert    = "member.pem"
	fileKey     = "member.key"
	fileNextKey = "member.key.next"
)

func (d *dataDir) writeTLS(caPEM, certPEM, keyPEM []byte) error {
	if err := os.MkdirAll(d.file(dirTLS), 0o700); err != nil {
		return err
	}
	return errors.Join(
		d.write(caPEM, dirTLS, fileCA),
		d.write(certPEM, dirTLS, fileCert),
		d.write(keyPEM, dirTLS, fileKey))
}

// exchangeCert replaces the member's certificate and key so that after a crash
// there is a pair, old or new: the certificate that is there says which key
// counts.
func (d *dataDir) exchangeCert(certPEM, keyPEM []byte) error {
	if err := d.write(keyPEM, dirTLS, fileNextKey); err != nil {
		return err
	}
	if err := d.write(certPEM, dirTLS, fileCert); err != nil {
		return err
	}
	return d.settleKey()
}

// settleKey makes the key that goes with the certificate the only one.
func (d *dataDir) settleKey() error {
	cert, key, err := d.ownCert()
	if err != nil {
		return err
	}
	next, err := os.ReadFile(d.file(dirTLS, fileNextKey))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	if _, err := tls.X509KeyPair(cert, next); err == nil {
		if err := d.write(key, dirTLS, fileKey); err != nil {
			return err
		}
	}
	if err := os.Remove(d.file(dirTLS, fileNextKey)); err != nil {
		return err
	}
	return syncDir(d.file(dirTLS))
}

// ownCert reads the member's certificate and the key that goes with it.
func (d *dataDir) ownCert() (certPEM, keyPEM []byte, err error) {
	if certPEM, err = os.ReadFile(d.file(dirTLS, fileCert)); err != nil {
		return nil, nil, err
	}
	next, err := os.ReadFile(d.file(dirTLS, fileNextKey))
	if err == nil {
		if _, err := tls.X509KeyPair(certPEM, next); err == nil {
			return certPEM, next, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	keyPEM, err = os.ReadFile(d.file(dirTLS, fileKey))
	return certPEM, keyPEM, err
}

// identity reads the certificates and checks that they are this member's.
func (d *dataDir) identity(m memberFile) (*peer.Identity, error) {
	ca, err := os.ReadFile(d.file(dirTLS, fileCA))
	var cert, key []byte
	if err == nil {
		cert, key, err = d.ownCert()
	}
	if err != nil {
		return nil, fmt.Errorf("data directory is incomplete: %w; restore the file, or join again with an empty directory", err)
	}
	id, err := peer.NewIdentity(m.ClusterID, m.MemberID, ca, cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.file(dirTLS), err)
	}
	return id, nil
}
