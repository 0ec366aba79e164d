// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/cluster/service/tracing"
)

// tracesTimeout bounds the last delivery of traces, when the member stops.
const tracesTimeout = 2 * time.Second

// traces are those of this member; nil when nothing is traced.
func (c *config) traces(out *outbound, registry prometheus.Registerer, log hclog.Logger) (*tracing.Tracing, error) {
	if c.Ops.OTLPEndpoint == "" {
		return nil, tracing.Off(registry)
	}
	endpoint, err := tracing.ParseEndpoint(c.Ops.OTLPEndpoint, c.Ops.OTLPHeadersFile != "")
	if err != nil {
		return nil, err
	}
	log.Info("tracing requests", "ratio", c.Ops.TraceRatio)
	return tracing.New(tracing.Config{Endpoint: endpoint, HeadersFile: c.Ops.OTLPHeadersFile, Ratio: c.Ops.TraceRatio, Roots: out.roots,
		Version: buildVersion().Version, Registry: registry, Logger: log.Named("traces")})
}

func closeTraces(t *tracing.Tracing) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tracesTimeout)
	defer cancel()
	_ = t.Close(ctx) // what the receiver does not take by then is lost
}
