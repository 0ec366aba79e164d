// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/audit"
	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/service/delivery"
	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/cluster/service/jwks"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// guard is what stands between the registry and the places it is told to call.
func (c *config) guard() (*identity.URLGuard, error) {
	allow, err := identity.ParseTargets(c.Outbound.AllowTargets)
	if err != nil {
		return nil, fmt.Errorf("outbound.allow_targets: %w", err)
	}
	return &identity.URLGuard{Allow: allow, AllowLoopback: c.Outbound.AllowLoopback}, nil
}

// roots are the authorities to trust when calling out: nil, the system's,
// unless there is a file with more.
func (c *config) roots() (*x509.CertPool, error) {
	if c.Outbound.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.Outbound.CAFile)
	if err != nil {
		return nil, fmt.Errorf("outbound.ca_file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("outbound.ca_file: the system's authorities: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("outbound.ca_file: %s has no certificate in PEM", c.Outbound.CAFile)
	}
	return pool, nil
}

// outbound is what a member calls, all of it through one guard and with the
// same authorities.
type outbound struct {
	guard   *identity.URLGuard
	roots   *x509.CertPool
	webhook *identity.Webhook
	keys    *jwks.Duty
}

func newOutbound(c *config, registry prometheus.Registerer) (*outbound, error) {
	guard, err := c.guard()
	if err != nil {
		return nil, err
	}
	roots, err := c.roots()
	if err != nil {
		return nil, err
	}
	fetcher := &identity.Fetcher{Guard: guard, Client: guard.NewHTTPClient(identity.ClientOptions{Timeout: identity.FetchTimeout, RootCAs: roots})}
	out := &outbound{
		guard:   guard,
		roots:   roots,
		webhook: &identity.Webhook{Guard: guard, Client: guard.NewHTTPClient(identity.ClientOptions{Timeout: identity.WebhookTimeout, RootCAs: roots})},
		keys:    jwks.New(fetcher.FetchJWKS),
	}
	return out, registry.Register(out.keys.Collector())
}

// sinks delivers the event log. Its structured log is the member's own.
func (o *outbound) sinks(fileDir string, log hclog.Logger) cluster.Duty {
	client := o.guard.NewHTTPClient(identity.ClientOptions{Timeout: 10 * time.Second, RootCAs: o.roots})
	return delivery.New(delivery.Config{
		Open: func(s protocol.SinkConfig, secret, clusterID string) (audit.Exporter, error) {
			if s.Kind == protocol.SinkExport && s.Format == protocol.FormatFile {
				if e := checkFile("endpoint", fileDir, s.Endpoint); e != nil {
					return nil, e
				}
			}
			return audit.Open(audit.Options{Sink: s, Secret: secret, ClusterID: clusterID, Client: client, Dial: o.guard.DialContext,
				TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.roots}, Log: log.Named("audit").Info})
		},
	})
}

// checkFile says whether a member may write a file for a sink, and what to do if not.
func checkFile(field, fileDir, path string) *protocol.Error {
	switch {
	case fileDir == "":
		return protocol.Errorf(protocol.CodeInvalid, "%s: this member writes no files: set outbound.file_dir on every member and restart them, then try again", field)
	case !below(fileDir, path):
		return protocol.Errorf(protocol.CodeInvalid, "%s: this member writes files below %s only (outbound.file_dir): give a path there, or change the setting on every member", field, fileDir)
	}
	return nil
}

// below reports whether a path lies below a directory.
func below(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return dir != "" && err == nil && filepath.IsLocal(rel) && rel != "."
}

// gateway is what the gateway asks of the outside.
func (o *outbound) gateway(node *cluster.Member, fileDir string) gateway.Outside {
	return gateway.Outside{
		CheckTarget: func(t protocol.Target) *protocol.Error {
			if t.File {
				return checkFile(t.Field, fileDir, t.URL)
			}
			_, e := o.guard.CheckURL(t.Field, t.URL)
			return e
		},
		Webhook:     o.webhook.Verify,
		RefreshKeys: func(ctx context.Context, urgent bool) *protocol.Error { return node.Nudge(ctx, jwks.Name, urgent) },
	}
}
