// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

const (
	// sdkReply is how long the SDK waits for one reply, sdkRetry how long it
	// tries before it reports the outcome as unknown.
	sdkReply = 2 * time.Second
	sdkRetry = 8 * time.Second
	// sdkPort follows a member's name in the SDK's addresses; the dialer
	// puts the present address in its place.
	sdkPort = "9000"
)

// sdk is the SDK as one client uses it, opened again when the members change.
type sdk struct {
	client  *client.Client
	members string
}

func (s *sdk) close() {
	if s.client != nil {
		s.client.Close()
		s.client = nil
	}
}

// signer signs with a node's key.
type signer ed25519.PrivateKey

func (s signer) PublicKey() protocol.PublicKey { return publicKey(ed25519.PrivateKey(s)) }

func (s signer) Sign(text []byte) ([]byte, error) {
	return ed25519.Sign(ed25519.PrivateKey(s), text), nil
}

func (c *Client) openSDK() error {
	var addrs []string
	for _, m := range c.env.Members() {
		addrs = append(addrs, net.JoinHostPort(m.Name, sdkPort))
	}
	if names := strings.Join(addrs, " "); c.sdk.client == nil || names != c.sdk.members {
		c.sdk.close()
		if len(addrs) > 1 { // everybody begins elsewhere
			at := c.rng.IntN(len(addrs))
			addrs = append(append([]string{}, addrs[at:]...), addrs[:at]...)
		}
		opened, err := client.Open(client.Options{Addrs: addrs, Timeout: sdkReply, RetryFor: sdkRetry, UnreachableFor: sdkReply, MaxConns: 1, Dialer: c.dialByName})
		if err != nil {
			return err
		}
		c.sdk = sdk{client: opened, members: names}
	}
	return nil
}

// dialByName dials a member where it is now.
func (c *Client) dialByName(ctx context.Context, _, addr string) (net.Conn, error) {
	name, _, _ := strings.Cut(addr, ":")
	for _, m := range c.env.Members() {
		if m.Name == name {
			return c.env.Dial(ctx, m.Addr)
		}
	}
	return nil, fmt.Errorf("member %s is not there any more", name)
}

// viaSDK makes an operation through the SDK, resends and fail-over included.
func (c *Client) viaSDK(ctx context.Context, r Request, op *history.Op) history.Verdict {
	if err := c.openSDK(); err != nil {
		return history.Verdict{Outcome: history.Fail, Code: history.CodeUnreachable, Text: err.Error()}
	}
	var opts []client.CallOption
	if op.RequestID != "" {
		opts = append(opts, client.WithRequestID(op.RequestID))
	}
	if r.Level != "" {
		opts = append(opts, client.WithConsistency(r.Level, r.MaxStaleness))
	}
	if r.Signer != nil {
		opts = append(opts, client.WithSigner(signer(r.Signer)))
	}
	// The call outlives the end of the run: cutting it short would only make
	// one more unknown outcome. It is bounded by sdkRetry.
	res, err := c.sdk.client.Do(context.WithoutCancel(ctx), r.Command, r.Body, opts...)
	op.Sends = 1
	v := history.ClassifySDK(res, err)
	addr := ""
	if err == nil {
		addr = res.Addr
	} else if e, ok := errors.AsType[*client.Error](err); ok {
		addr = e.Addr
	}
	op.Member, _, _ = strings.Cut(addr, ":")
	return v
}
