// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// certificates are those of the listeners, by listener. Certificates in files
// are read again on SIGHUP.
type certificates struct {
	mu  sync.Mutex
	all map[string]*certificate
}

func newCertificates() *certificates { return &certificates{all: map[string]*certificate{}} }

// certificate is what a listener shows to its clients.
type certificate struct {
	load func() (tls.Certificate, error)
	// files: an operator may put another one there. That of the cluster stays.
	files bool

	mu   sync.Mutex
	cert *tls.Certificate
	ends time.Time
}

// tlsFor makes the TLS settings of a listener in mode self_signed or files.
func (s *certificates) tlsFor(listener, mode, dataDir, certFile, keyFile string) (*tls.Config, error) {
	c := &certificate{files: mode == wireTLSFiles, load: func() (tls.Certificate, error) { return clusterCert(dataDir) }}
	if c.files {
		c.load = func() (tls.Certificate, error) { return server.LoadCertificate(certFile, keyFile) }
	}
	if err := c.read(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[listener] = c
	secure := server.TLSConfig(tls.Certificate{})
	secure.Certificates, secure.GetCertificate = nil, c.get
	return secure, nil
}

// read takes the certificate that is there now. A bad one changes nothing.
func (c *certificate) read() error {
	cert, err := c.load()
	if err != nil {
		return err
	}
	if cert.Leaf == nil {
		return errors.New("the certificate has no leaf")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cert, c.ends = &cert, cert.Leaf.NotAfter
	return nil
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cert, nil
}

// ends tells when the certificates of the listeners end.
func (s *certificates) ends() map[string]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]time.Time{}
	for listener, c := range s.all {
		c.mu.Lock()
		out[listener] = c.ends
		c.mu.Unlock()
	}
	return out
}

// reload reads certificates in files again and says what became of it.
func (s *certificates) reload(log hclog.Logger) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for listener, c := range s.all {
		if !c.files {
			continue
		}
		if err := c.read(); err != nil {
			errs = append(errs, fmt.Errorf("%s.tls_cert: %w; the certificate in use stays", listener, err))
			continue
		}
		log.Info("certificate read again", "listener", listener, "ends", c.ends.UTC().Format(time.RFC3339))
	}
	return errors.Join(errs...)
}
