// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// CallJoin sends the one request of a joining machine to the first address of
// the token that answers. A refusal by the cluster is a *protocol.Error and
// ends the search: another member would say the same.
func CallJoin(ctx context.Context, t Token, dial DialFunc, payload []byte) ([]byte, error) {
	if dial == nil {
		dial = NetDial
	}
	var failures error
	for _, addr := range t.Addrs {
		resp, err := callJoin(ctx, t, dial, addr, payload)
		if err == nil {
			return resp, nil
		}
		var refused *protocol.Error
		if errors.As(err, &refused) && !refused.Retryable() {
			return nil, err
		}
		failures = errors.Join(failures, fmt.Errorf("%s: %w", addr, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, failures
}

func callJoin(ctx context.Context, t Token, dial DialFunc, addr string, payload []byte) ([]byte, error) {
	raw, err := dial(ctx, ProtoJoin, "", addr)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	deadline := time.Now().Add(joinTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	_ = raw.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	conn := tls.Client(raw, pinnedConfig(t.ClusterID, t.CASHA256))
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	if _, err := conn.Write(appendFrame(nil, frame{id: 1, payload: payload})); err != nil {
		return nil, err
	}
	f, err := readFrame(conn, MaxFrame)
	if err != nil {
		return nil, err
	}
	if f.typ != typeOK {
		return nil, DecodeError(f.payload).AsError()
	}
	return f.payload, nil
}
