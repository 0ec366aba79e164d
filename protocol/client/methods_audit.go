// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// GetAuditLog reads a page of the audit log, newest first unless the request
// says otherwise; NextCursor of the reply is for WithCursor.
func (c *Client) GetAuditLog(ctx context.Context, r protocol.GetAuditLog, opts ...CallOption) (*protocol.GetAuditLogReply, error) {
	return Call[protocol.GetAuditLogReply](ctx, c, "get_audit_log", &r, opts...)
}

// AuditChain shows the ends of the audit log's hash chains, with which
// [protocol.VerifyChain] verifies a copy.
func (c *Client) AuditChain(ctx context.Context, opts ...CallOption) (*protocol.AuditChainReply, error) {
	return Call[protocol.AuditChainReply](ctx, c, "audit_chain", &protocol.AuditQuery{}, opts...)
}

// AuditSinkPut creates or replaces a sink.
func (c *Client) AuditSinkPut(ctx context.Context, r protocol.AuditSinkPut, opts ...CallOption) (*protocol.AuditSinkReply, error) {
	return Call[protocol.AuditSinkReply](ctx, c, "audit_sink_put", &r, opts...)
}

// AuditSinkDelete deletes a sink and its dead letters.
func (c *Client) AuditSinkDelete(ctx context.Context, name string, opts ...CallOption) (*protocol.AuditSinkReply, error) {
	return Call[protocol.AuditSinkReply](ctx, c, "audit_sink_delete", &protocol.SinkName{Name: name}, opts...)
}

// AuditSinkList lists the sinks and how far each is.
func (c *Client) AuditSinkList(ctx context.Context, opts ...CallOption) (*protocol.AuditSinkListReply, error) {
	return Call[protocol.AuditSinkListReply](ctx, c, "audit_sink_list", &protocol.AuditQuery{}, opts...)
}

// AuditReplay sets a sink back, so that fromSeq is the next event it delivers.
func (c *Client) AuditReplay(ctx context.Context, name string, fromSeq uint64, opts ...CallOption) (*protocol.AuditSinkReply, error) {
	return Call[protocol.AuditSinkReply](ctx, c, "audit_replay", &protocol.AuditReplay{Name: name, FromSeq: fromSeq}, opts...)
}

// DlqList lists a sink's dead letters with the reasons, oldest first; ""
// names the audit webhook here and below.
func (c *Client) DlqList(ctx context.Context, sink string, opts ...CallOption) (*protocol.DLQListReply, error) {
	return Call[protocol.DLQListReply](ctx, c, "dlq_list", &protocol.DeadLetters{Name: sink}, opts...)
}

// DlqRetry delivers a dead letter again; 0 is all of the sink.
func (c *Client) DlqRetry(ctx context.Context, sink string, event uint64, opts ...CallOption) (*protocol.DLQChangeReply, error) {
	return Call[protocol.DLQChangeReply](ctx, c, "dlq_retry", &protocol.DeadLetters{Name: sink, EventID: event}, opts...)
}

// DlqDrop drops a dead letter; 0 is all of the sink.
func (c *Client) DlqDrop(ctx context.Context, sink string, event uint64, opts ...CallOption) (*protocol.DLQChangeReply, error) {
	return Call[protocol.DLQChangeReply](ctx, c, "dlq_drop", &protocol.DeadLetters{Name: sink, EventID: event}, opts...)
}

// SetWebhook sets the audit webhook and its signing secret; an empty url
// clears it.
func (c *Client) SetWebhook(ctx context.Context, url string, secret protocol.Secret, opts ...CallOption) (*protocol.SetWebhookReply, error) {
	return Call[protocol.SetWebhookReply](ctx, c, "set_webhook", &protocol.SetWebhook{URL: url, Secret: secret}, opts...)
}

// GetWebhook shows the audit webhook and its counters.
func (c *Client) GetWebhook(ctx context.Context, opts ...CallOption) (*protocol.GetWebhookReply, error) {
	return Call[protocol.GetWebhookReply](ctx, c, "get_webhook", &protocol.GetWebhook{}, opts...)
}

// GetWebhookDlq lists the dead letters of all webhooks without the reasons,
// for older clients; DlqList has them.
func (c *Client) GetWebhookDlq(ctx context.Context, opts ...CallOption) (*protocol.GetWebhookDLQReply, error) {
	return Call[protocol.GetWebhookDLQReply](ctx, c, "get_webhook_dlq", &protocol.GetWebhookDLQ{}, opts...)
}

// SetAuditExport configures the audit export; without a format or an
// endpoint it switches the export off.
func (c *Client) SetAuditExport(ctx context.Context, r protocol.SetAuditExport, opts ...CallOption) (*protocol.SetAuditExportReply, error) {
	return Call[protocol.SetAuditExportReply](ctx, c, "set_audit_export", &r, opts...)
}

// GetAuditExport shows the audit export and its counters.
func (c *Client) GetAuditExport(ctx context.Context, opts ...CallOption) (*protocol.GetAuditExportReply, error) {
	return Call[protocol.GetAuditExportReply](ctx, c, "get_audit_export", &protocol.GetAuditExport{}, opts...)
}
