// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// call is a request ready to be sent, any number of times.
type call struct {
	row       *protocol.Command
	frame     []byte
	requestID string
	// writes: an attempt that was sent may have had an effect.
	writes bool
	// resendable: a second sending cannot have a second effect.
	resendable bool
}

func (c *Client) prepare(ctx context.Context, command string, body protocol.Body, opts []CallOption) (*call, error) {
	row := protocol.ByName(command)
	refuse := func(code, format string, args ...any) (*call, error) {
		return nil, &Error{Code: code, Text: fmt.Sprintf(format, args...), Outcome: protocol.OutcomeRejected, Command: command}
	}
	switch {
	case row == nil:
		return refuse(protocol.CodeUnknownCommand, "unknown command %q", command)
	case row.Mode == protocol.ModeStream:
		return refuse(protocol.CodeInvalid, "use Subscribe for %s", command)
	case body == nil:
		body = row.New()
	}
	o := callOptions{signer: c.opts.Signer, adminToken: c.opts.AdminToken}
	if row.Mode == protocol.ModeRead {
		o.Options = c.opts.level()
	}
	if row.Mode != protocol.ModeLocal && row.Mode != protocol.ModeCluster {
		o.MinIndex = c.MinIndex()
	}
	for _, opt := range opts {
		opt.change(&o)
	}
	if o.RequestID == "" && row.Writes() && !row.Soft && !c.opts.NoRequestIDs {
		o.RequestID = NewRequestID()
	}
	encoded, err := c.encode(ctx, row, body, &o)
	if err != nil {
		return nil, err
	}
	if len(encoded) > protocol.MaxRequestBytes {
		limit, err := c.maxRequest(ctx)
		if err != nil {
			return nil, err
		}
		if len(encoded) > limit {
			return refuse(protocol.CodeTooLarge, "request too large: %d bytes (max %d; the registry's setting wire.max_request can raise it to %d)", len(encoded), limit, protocol.MaxRequestLimit)
		}
	}
	writes := row.Writes() || row.Mode == protocol.ModeCluster
	return &call{
		row: row, frame: protocol.AppendFrame(nil, encoded), requestID: o.RequestID, writes: writes,
		resendable: !writes || row.Soft || (row.Writes() && o.RequestID != ""),
	}, nil
}
