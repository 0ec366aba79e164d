// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// ClusterID shows which cluster this is.
func (c *Client) ClusterID(ctx context.Context, opts ...CallOption) (*protocol.ClusterIDReply, error) {
	return Call[protocol.ClusterIDReply](ctx, c, "cluster_id", nil, opts...)
}

// SetSetting changes a replicated setting of the registry.
func (c *Client) SetSetting(ctx context.Context, name, value string, opts ...CallOption) (*protocol.SetSettingReply, error) {
	return Call[protocol.SetSettingReply](ctx, c, "set_setting", &protocol.SetSetting{Name: name, Value: value}, opts...)
}

// ListSettings lists the replicated settings of the registry.
func (c *Client) ListSettings(ctx context.Context, opts ...CallOption) (*protocol.ListSettingsReply, error) {
	return Call[protocol.ListSettingsReply](ctx, c, "list_settings", nil, opts...)
}

// PersonExport shows what is known of a person besides the audit log: nodes and
// roles that wait. NextCursor of the reply is for WithCursor.
func (c *Client) PersonExport(ctx context.Context, externalID string, opts ...CallOption) (*protocol.PersonExportReply, error) {
	return Call[protocol.PersonExportReply](ctx, c, "person_export", &protocol.PersonRequest{ExternalID: externalID}, opts...)
}

// PersonForget erases what is known of a person. While the reply says More it
// has to be called again.
func (c *Client) PersonForget(ctx context.Context, externalID string, opts ...CallOption) (*protocol.PersonForgetReply, error) {
	return Call[protocol.PersonForgetReply](ctx, c, "person_forget", &protocol.PersonRequest{ExternalID: externalID}, opts...)
}

// ValidateToken says what an identity token is worth. A token that is not
// verified is not an error: the reply says why.
func (c *Client) ValidateToken(ctx context.Context, token protocol.Secret, opts ...CallOption) (*protocol.ValidateTokenReply, error) {
	return Call[protocol.ValidateTokenReply](ctx, c, "validate_token", &protocol.ValidateToken{Token: token}, opts...)
}

// SetIdentityWebhook sets the webhook that verifies identity tokens; an empty URL clears it.
func (c *Client) SetIdentityWebhook(ctx context.Context, url string, opts ...CallOption) (*protocol.SetIdentityWebhookReply, error) {
	return Call[protocol.SetIdentityWebhookReply](ctx, c, "set_identity_webhook", &protocol.SetIdentityWebhook{URL: url}, opts...)
}

// SetIdpConfig configures the identity provider; the zero value clears it.
func (c *Client) SetIdpConfig(ctx context.Context, r protocol.SetIDPConfig, opts ...CallOption) (*protocol.SetIDPConfigReply, error) {
	return Call[protocol.SetIDPConfigReply](ctx, c, "set_idp_config", &r, opts...)
}

// GetIdpConfig shows the identity provider.
func (c *Client) GetIdpConfig(ctx context.Context, opts ...CallOption) (*protocol.GetIDPConfigReply, error) {
	return Call[protocol.GetIDPConfigReply](ctx, c, "get_idp_config", nil, opts...)
}
