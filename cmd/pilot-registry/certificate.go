// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// certificateLook is how often certificates in files are looked at.
const certificateLook = 5 * time.Second

// certificates are those of the listeners, by listener. Certificates in files
// are read again when the files change, and on SIGHUP.
type certificates struct {
	mu  sync.Mutex
	all map[string]*certificate
}

func newCertificates() *certificates { return &certificates{all: map[string]*certificate{}} }

// certificate is what a listener shows to its clients.
type certificate struct {
	load func() (tls.Certificate, error)
	// files hold it, and an operator may put another one there; none for that
	// of the cluster, which stays.
	files []string

	mu   sync.Mutex
	cert *tls.Certificate
	ends time.Time
	// seen is what the files held when they were read last, problem why that
	// cannot be used.
	seen    [sha256.Size]byte
	problem error
}

// tlsFor makes the TLS settings of a listener in mode self_signed or files.
func (s *certificates) tlsFor(listener, mode, dataDir, certFile, keyFile string) (*tls.Config, error) {
	c := &certificate{load: func() (tls.Certificate, error) { return clusterCert(dataDir) }}
	if mode == wireTLSFiles {
		c.files = []string{certFile, keyFile}
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
	seen := c.content()
	cert, err := c.load()
	if err == nil && cert.Leaf == nil {
		err = errors.New("the certificate has no leaf")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen, c.problem = seen, err
	if err == nil {
		c.cert, c.ends = &cert, cert.Leaf.NotAfter
	}
	return err
}

// content tells apart what the files hold at different times. One that cannot
// be read counts as empty; reading the certificate says why.
func (c *certificate) content() (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, path := range c.files {
		text, _ := os.ReadFile(path) //nolint:errcheck // see above
		fmt.Fprintf(h, "%d:", len(text))
		h.Write(text)
	}
	h.Sum(sum[:0])
	return sum
}

// changed reports whether the files hold something else than when they were
// read last.
func (c *certificate) changed() bool {
	now := c.content()
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.files) > 0 && now != c.seen
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

// problems say why what is in the files of a listener's certificate cannot be
// used, nil where it can.
func (s *certificates) problems() map[string]error {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]error{}
	for listener, c := range s.all {
		c.mu.Lock()
		out[listener] = c.problem
		c.mu.Unlock()
	}
	return out
}

// watch reads certificates again when their files change, until ctx ends.
func (s *certificates) watch(ctx context.Context, log hclog.Logger) {
	t := time.NewTicker(certificateLook)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := s.readAgain(log, (*certificate).changed); err != nil {
			log.Error("a certificate was changed and cannot be used", "error", err)
		}
	}
}

// reload reads certificates in files again and says what became of it.
func (s *certificates) reload(log hclog.Logger) error {
	return s.readAgain(log, func(c *certificate) bool { return len(c.files) > 0 })
}

func (s *certificates) readAgain(log hclog.Logger, these func(*certificate) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for listener, c := range s.all {
		if !these(c) {
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
