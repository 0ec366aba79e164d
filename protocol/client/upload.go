// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// splitter is a request that may be too long for one frame.
type splitter interface {
	InParts(uploadID string, limit int) []protocol.Body
}

// send sends all parts of a request but the last, which is returned: it is
// what carries the request out. A request that fits one frame is its own last
// part. The parts of a call with a request id make an upload of the same name
// when the call is repeated.
func (c *Client) send(ctx context.Context, command string, body protocol.Body, opts []CallOption) (protocol.Body, error) {
	s, long := body.(splitter)
	if !long {
		return body, nil
	}
	var given callOptions
	for _, opt := range opts {
		opt.change(&given)
	}
	id := NewRequestID()
	if given.RequestID != "" {
		sum := sha256.Sum256([]byte(given.RequestID))
		id = hex.EncodeToString(sum[:16])
	}
	parts := s.InParts(id, protocol.PartBytes)
	if len(parts) == 0 {
		return body, nil
	}
	plain := callOption(func(o *callOptions) { o.RequestID, o.DryRun, o.Cursor = "", false, "" })
	last := len(parts) - 1
	tell := given.parts
	if tell == nil {
		tell = func(int, int) {}
	}
	for i, part := range parts[:last] {
		tell(i, len(parts))
		if _, err := c.do(ctx, command, part, append(opts[:len(opts):len(opts)], plain)); err != nil {
			return nil, err
		}
	}
	if last > 0 {
		tell(last, len(parts))
	}
	return parts[last], nil
}

// maxRequest asks the server how long a request may be: a longer one costs the
// connection without a word.
func (c *Client) maxRequest(ctx context.Context) (int, error) {
	reply, err := c.ClusterID(ctx, WithSigner(nil), WithAdminToken(""))
	var failed *Error
	switch {
	case errors.As(err, &failed) && answered(failed):
		return protocol.MaxRequestBytes, nil // an older server, or another registry
	case err != nil:
		return 0, err
	}
	return max(reply.MaxRequest, protocol.MaxRequestBytes), nil
}

// ProvisionNetwork applies a blueprint; it needs the admin token.
func (c *Client) ProvisionNetwork(ctx context.Context, r protocol.ProvisionNetwork, opts ...CallOption) (*protocol.ProvisionNetworkReply, error) {
	return Call[protocol.ProvisionNetworkReply](ctx, c, "provision_network", &r, opts...)
}

// GetProvisionStatus shows what is provisioned, with details also
// descriptions and the roles that wait; it needs the admin token.
func (c *Client) GetProvisionStatus(ctx context.Context, details bool, opts ...CallOption) (*protocol.ProvisionStatusReply, error) {
	return Call[protocol.ProvisionStatusReply](ctx, c, "get_provision_status", &protocol.GetProvisionStatus{Details: details}, opts...)
}

// DirectoryStatus shows how a network relates to its directory; it needs the
// admin token.
func (c *Client) DirectoryStatus(ctx context.Context, network uint16, opts ...CallOption) (*protocol.DirectoryStatusReply, error) {
	return Call[protocol.DirectoryStatusReply](ctx, c, "directory_status", &protocol.NetworkRequest{NetworkID: network}, opts...)
}

// DirectorySync applies a directory listing, of any length, and fetches all
// of a long reply; it needs the admin token. An error with a reply says that
// the listing was applied and the rest of the reply could not be had.
func (c *Client) DirectorySync(ctx context.Context, r protocol.DirectorySync, opts ...CallOption) (*protocol.DirectorySyncReply, error) {
	res, err := c.SyncDirectory(ctx, r, opts...)
	if res == nil {
		return nil, err
	}
	reply := &protocol.DirectorySyncReply{}
	if unread := json.Unmarshal(res.Raw, reply); unread != nil {
		return nil, unread
	}
	return reply, err
}

// SyncDirectory is DirectorySync with the reply as JSON.
func (c *Client) SyncDirectory(ctx context.Context, r protocol.DirectorySync, opts ...CallOption) (*Result, error) {
	body, err := c.send(ctx, "directory_sync", &r, opts)
	if err != nil {
		return nil, err
	}
	res, err := c.do(ctx, "directory_sync", body, opts)
	if err != nil {
		return nil, err
	}
	reply := &protocol.DirectorySyncReply{}
	if json.Unmarshal(res.Raw, reply) != nil || reply.NextCursor == "" {
		return res, nil
	}
	err = c.rest(ctx, body, reply, opts)
	if raw, failed := json.Marshal(reply); failed == nil {
		res.Raw = raw
	}
	return res, err
}

// rest fetches the other pages of a reply: of a dry run by asking again, of
// a sync from the status, which keeps them for a while.
func (c *Client) rest(ctx context.Context, body protocol.Body, reply *protocol.DirectorySyncReply, opts []CallOption) error {
	for reply.NextCursor != "" {
		page := callOption(func(o *callOptions) { o.RequestID, o.Cursor = "", reply.NextCursor })
		var next protocol.DirectorySyncReply
		command, ask := "directory_sync", body
		if !reply.DryRun {
			command, ask = "directory_status", &protocol.NetworkRequest{NetworkID: reply.NetworkID}
		}
		res, err := c.do(ctx, command, ask, append(opts[:len(opts):len(opts)], page))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(res.Raw, &next); err != nil {
			return err
		}
		reply.Actions, reply.Warnings = append(reply.Actions, next.Actions...), append(reply.Warnings, next.Warnings...)
		reply.NextCursor = next.NextCursor
	}
	return nil
}
