// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/cluster/service/tracing"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// problems are what is wrong with the settings, in the order of the settings.
type problems []error

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Errorf(format, args...)) }

func (p *problems) addError(err error) {
	if err != nil {
		*p = append(*p, err)
	}
}

func (p *problems) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		p.add("%s: %q is not one of %s", key, value, strings.Join(allowed, ", "))
	}
}

func (p *problems) hostPort(key, addr string) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		p.add("%s: %q is not host:port", key, addr)
	}
}

// validate says everything that is wrong, not only the first thing.
func (c *config) validate() error {
	var p problems
	if c.DataDir == "" {
		p.add("data_dir: required")
	}
	c.Wire.validate(&p)
	p.hostPort("peer.listen", c.Peer.Listen)
	c.Ops.validate(&p)
	p.oneOf("log.level", c.Log.Level, "trace", "debug", "info", "warn", "error")
	p.oneOf("log.format", c.Log.Format, "text", "json")
	c.Rate.validate(&p)
	_, err := c.exempt()
	p.addError(err)
	c.Auth.validate(&p)
	if _, err := identity.NewVerifier(c.Accounts.BadgeIssuers, c.Accounts.RecoveryKeys); err != nil {
		p.add("accounts: %v", err)
	}
	c.Raft.validate(&p)
	c.Memory.validate(&p)
	c.Backup.validate(&p)
	_, err = c.guard()
	p.addError(err)
	_, err = c.roots()
	p.addError(err)
	return errors.Join(p...)
}

func (w *wireConfig) validate(p *problems) {
	p.hostPort("wire.listen", w.Listen)
	if w.Advertise != "" && !dialable(w.Advertise) {
		p.add("wire.advertise: %q is not host:port, with a host that clients can reach", w.Advertise)
	}
	p.oneOf("wire.tls", w.TLS, wireTLSSelf, wireTLSFiles, wireTLSBoth, wireTLSOff)
	switch given := w.TLSCert != "" && w.TLSKey != ""; {
	case w.TLS == wireTLSBoth && !given && w.TLSCert+w.TLSKey != "":
		p.add("wire.tls: both takes tls_cert and tls_key together, or neither")
	case w.TLS != wireTLSBoth && (w.TLS == wireTLSFiles) != given:
		p.add("wire.tls: files needs both tls_cert and tls_key, and only files and both use them")
	}
	if w.ReplyMemoryMiB < server.ReplyMemoryMin>>20 {
		p.add("wire.reply_memory_mib: %d is below %d, which few lists need", w.ReplyMemoryMiB, server.ReplyMemoryMin>>20)
	}
	if n := w.MaxRequest; n < protocol.MaxRequestBytes || n > protocol.MaxRequestLimit {
		p.add("wire.max_request: %d is not between %d and %d bytes", n, protocol.MaxRequestBytes, protocol.MaxRequestLimit)
	}
	if w.Relay != "" && !protocol.IsHostPort(w.Relay) {
		p.add("wire.relay: %q is not host:port, with a host that clients can reach", w.Relay)
	}
}

// dialable reports whether an address names a host and a port.
func dialable(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && protocol.IsHostPort(addr) && (ip == nil || !ip.IsUnspecified())
}

func (o *opsConfig) validate(p *problems) {
	if o.Listen != "" {
		p.hostPort("ops.listen", o.Listen)
	}
	p.oneOf("ops.tls", o.TLS, opsTLSAuto, wireTLSSelf, wireTLSFiles, wireTLSOff)
	if (o.TLS == wireTLSFiles) != (o.TLSCert != "" && o.TLSKey != "") {
		p.add("ops.tls: files needs both tls_cert and tls_key, and only files uses them")
	}
	if o.TraceRatio < 0 || o.TraceRatio > 1 || math.IsNaN(o.TraceRatio) {
		p.add("ops.trace_ratio: %v is not between 0 and 1", o.TraceRatio)
	}
	if o.OTLPEndpoint != "" {
		if _, err := tracing.ParseEndpoint(o.OTLPEndpoint, o.OTLPHeadersFile != ""); err != nil {
			p.add("ops.otlp_endpoint: %v", err)
		}
	}
	if o.OTLPHeadersFile != "" {
		if _, err := tracing.ReadHeaders(o.OTLPHeadersFile); err != nil {
			p.add("ops.otlp_headers_file: %v", err)
		}
	}
}

func (r *rateConfig) validate(p *problems) {
	for _, limit := range []struct {
		key string
		n   int
	}{{"registration", r.Registration}, {"resolve", r.Resolve}, {"query", r.Query}, {"heartbeat", r.Heartbeat}, {"beacon", r.Beacon}} {
		if limit.n < 1 {
			p.add("rate_limits.%s: %d is not a positive number; to limit nothing set rate_limits.enabled to false", limit.key, limit.n)
		}
	}
}

func (a *authConfig) validate(p *problems) {
	access := []string{string(gateway.AccessOpen), string(gateway.AccessSigned), string(gateway.AccessAdmin)}
	p.oneOf("auth.register", a.Register, access...)
	p.oneOf("auth.polo", a.Polo, access...)
	p.oneOf("auth.beacon", a.Beacon, access...)
	p.oneOf("auth.legacy_signatures", a.LegacySignatures, string(gateway.LegacyAllow), string(gateway.LegacyWarn), string(gateway.LegacyDeny))
	if a.EndpointStaleness < 0 {
		p.add("auth.endpoint_staleness: %s is negative; 0 sets no limit", a.EndpointStaleness)
	}
}

func (r *raftConfig) validate(p *problems) {
	p.oneOf("raft.log_store", r.LogStore, store.Kinds...)
	for _, timeout := range []struct {
		key string
		d   time.Duration
	}{{"raft.heartbeat_timeout", r.HeartbeatTimeout}, {"raft.election_timeout", r.ElectionTimeout}} {
		if timeout.d < 20*time.Millisecond {
			p.add("%s: %s is below 20ms, which no scheduler keeps", timeout.key, timeout.d)
		}
	}
}
