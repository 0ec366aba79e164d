package client

import (
	"context"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// ClusterID shows which cluster this is.
func (c *Client) ClusterID(ctx context.Context, opts ...CallOption) (*protocol.ClusterIDReply, error) {
	return Call[protocol.ClusterIDReply](ctx, c, "cluster_id", nil, opts...)
}

// ValidateToken says what an identity token is worth. A token that is not
// verified is no error: the reply says why.
func (c *Client) ValidateToken(ctx context.Context, token protocol.Secret, opts ...CallOption) (*protocol.ValidateTokenReply, error) {
	return Call[protocol.ValidateTokenReply](ctx, c, "validate_token", &protocol.ValidateToken{Token: token}, opts...)
}
