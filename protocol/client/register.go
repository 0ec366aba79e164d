// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// NodeID is the id of the client's identity: 0 without one, and before its
// first registration.
func (c *Client) NodeID() uint32 {
	if c.opts.Identity == nil {
		return 0
	}
	return c.opts.Identity.NodeID()
}

// Register registers a node: its public key, endpoint and names. Without a
// PublicKey in r it is the client's own. A registration of the client's key is
// signed with it, and the client's identity then has the node id; one from
// [Options.IdentityFile] keeps it there. Where that fails, the reply comes
// with an error that is not an [*Error]: the node is registered.
func (c *Client) Register(ctx context.Context, r protocol.Register, opts ...CallOption) (*protocol.RegisterReply, error) {
	if r.PublicKey == "" && c.opts.Signer != nil {
		r.PublicKey = c.opts.Signer.PublicKey().String()
	}
	reply, err := Call[protocol.RegisterReply](ctx, c, "register", &r, opts...)
	if err != nil {
		return nil, err
	}
	id := c.opts.Identity
	if id == nil || r.PublicKey != id.PublicKey().String() {
		return reply, nil
	}
	c.opts.Logger.Info("registered", "node_id", reply.NodeID, "address", reply.Address, "hostname", reply.Hostname)
	if id.NodeID() == reply.NodeID {
		return reply, nil
	}
	id.SetNodeID(reply.NodeID)
	if c.opts.IdentityFile != "" {
		if err := id.Save(c.opts.IdentityFile); err != nil {
			return reply, fmt.Errorf("registered as node %d, but its id could not be kept: %w", reply.NodeID, err)
		}
	}
	return reply, nil
}
