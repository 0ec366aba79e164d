// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/service/console"
	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
)

// serveOps starts the operator's listener; nil when it is switched off.
func serveOps(ctx context.Context, c *config, node *cluster.Member, backend *gateway.Gateway, b *bounds, registry prometheus.Gatherer, log hclog.Logger) (*http.Server, error) {
	if c.Ops.Listen == "" {
		return nil, nil
	}
	secure, err := c.opsTLS(b.certs)
	if err != nil {
		return nil, fmt.Errorf("ops listener: %w", err)
	}
	l, err := net.Listen("tcp", c.Ops.Listen)
	if err != nil {
		return nil, fmt.Errorf("ops listener: %w", err)
	}
	l = ops.Places(l)
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	stats := ops.NewCounts(node.Root)
	pages := console.New(console.Config{Serve: backend.Serve, Status: node.Status, Stats: stats.Stats, Admin: backend.AdminToken, Durations: b.counts.Durations,
		ExplainToken: backend.ExplainToken, Settings: c.effective(), Hosts: node.Hosts, Checks: func() []ops.Check { return readiness(node) }, Inspect: func() console.Inspector { return node.Root().Inspect() }})
	go pages.Watch(ctx)
	s := ops.NewServer(ops.Handler(ops.Config{
		Console:  pages.Handler(),
		Gatherer: ops.WithAliases(registry), Pprof: c.Ops.Pprof, Hosts: c.Ops.Hosts, Admin: backend.AdminToken,
		Ready: func(ctx context.Context) []ops.Check { return readiness(node) },
		Health: func() ops.Health {
			root := node.Root()
			return ops.Health{NodesOnline: root.NodeCount(), Uptime: root.Age() / 1000, Version: buildVersion().Version}
		},
		Status: func(ctx context.Context) any { return node.Status(ctx) },
		Stats:  stats.Stats, Snapshot: node.SaveSnapshot,
	}))
	log.Info("serving operators", "address", l.Addr().String(), "tls", secure != nil)
	go func() {
		if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.Error("ops listener ended", "error", err)
		}
	}()
	return s, nil
}

// opsTLS is how the ops listener is encrypted; nil: not at all.
func (c *config) opsTLS(certs *certificates) (*tls.Config, error) {
	mode := c.Ops.TLS
	switch {
	case mode == opsTLSAuto && c.opsReachable():
		mode = wireTLSSelf
	case mode == opsTLSAuto, mode == wireTLSOff:
		return nil, nil
	}
	secure, err := certs.tlsFor("ops", mode, c.DataDir, c.Ops.TLSCert, c.Ops.TLSKey)
	if err != nil {
		return nil, err
	}
	secure.NextProtos = []string{"http/1.1"}
	return secure, nil
}

func readiness(node *cluster.Member) []ops.Check {
	var out []ops.Check
	for _, c := range node.Checks() {
		out = append(out, ops.Check{Name: c.Name, OK: c.OK, Detail: c.Detail})
	}
	return out
}
