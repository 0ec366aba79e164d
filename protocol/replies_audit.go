// SPDX-License-Identifier: Apache-2.0

package protocol

// States of a configuration in replies.
const (
	StatusEnabled  = "enabled"
	StatusDisabled = "disabled"
)

// SetIDPConfigReply answers set_idp_config.
type SetIDPConfigReply struct {
	IDPType string `json:"idp_type,omitempty"`
	Status  string `json:"status"`
	Type    string `json:"type"`
}

// GetIDPConfigReply answers get_idp_config. URL and Issuer are as configured.
type GetIDPConfigReply struct {
	ClientID        string `json:"client_id,omitempty"`
	Configured      bool   `json:"configured"`
	Domain          string `json:"domain,omitempty"`
	ExternalIDClaim string `json:"external_id_claim,omitempty"`
	IDPType         string `json:"idp_type,omitempty"`
	Issuer          string `json:"issuer,omitempty"`
	// Keys are the provider's keys in use, KeysLeftOut those that cannot be
	// used, with the reason; KeysFetchedAt is when they were last confirmed.
	// KeysError is why fetching fails, since KeysFailingSince.
	Keys             []string      `json:"keys,omitempty"`
	KeysError        string        `json:"keys_error,omitempty"`
	KeysFailingSince string        `json:"keys_failing_since,omitempty"`
	KeysFetchedAt    string        `json:"keys_fetched_at,omitempty"`
	KeysLeftOut      []string      `json:"keys_left_out,omitempty"`
	RefuseHS256      bool          `json:"refuse_hs256,omitempty"`
	RequireIdentity  bool          `json:"require_identity,omitempty"`
	RoleClaim        string        `json:"role_claim,omitempty"`
	RoleMap          []RoleMapping `json:"role_map,omitempty"`
	TenantID         string        `json:"tenant_id,omitempty"`
	Type             string        `json:"type"`
	URL              string        `json:"url,omitempty"`
}

// SetIdentityWebhookReply answers set_identity_webhook.
type SetIdentityWebhookReply struct {
	Status string `json:"status"`
	Type   string `json:"type"`
}

// SetWebhookReply answers set_webhook.
type SetWebhookReply struct {
	Status string `json:"status"`
	Type   string `json:"type"`
	URL    string `json:"url"`
}

// GetWebhookReply answers get_webhook. The counters begin with each
// configuration; Dropped counts events that retention overtook.
type GetWebhookReply struct {
	Delivered uint64 `json:"delivered"`
	DLQSize   int    `json:"dlq_size"`
	Dropped   uint64 `json:"dropped"`
	Enabled   bool   `json:"enabled"`
	Failed    uint64 `json:"failed"`
	Signed    bool   `json:"signed,omitempty"`
	Type      string `json:"type"`
	URL       string `json:"url"`
	SinkTotals
	SinkTrouble
}

// SinkTotals count the events of all sinks of a name since the cluster began.
type SinkTotals struct {
	DeliveredTotal uint64 `json:"delivered_total,omitempty"`
	FailedTotal    uint64 `json:"failed_total,omitempty"`
	DroppedTotal   uint64 `json:"dropped_total,omitempty"`
}

// SinkTrouble is why a sink is not getting on; empty while it is.
type SinkTrouble struct {
	// Error is what the last try said, Stalled when the trouble began (RFC 3339).
	Error   string `json:"error,omitempty"`
	Stalled string `json:"stalled,omitempty"`
	// Tries is how often in a row it was tried in vain, NextTry when it is tried
	// next (RFC 3339), by log time.
	Tries   uint32 `json:"tries,omitempty"`
	NextTry string `json:"next_try,omitempty"`
}

// SetAuditExportReply answers set_audit_export.
type SetAuditExportReply struct {
	Endpoint string `json:"endpoint,omitempty"`
	Format   string `json:"format,omitempty"`
	Status   string `json:"status"`
	Type     string `json:"type"`
}

// GetAuditExportReply answers get_audit_export. Exported is Delivered under
// the name that older clients read.
type GetAuditExportReply struct {
	Delivered *uint64 `json:"delivered,omitempty"`
	DLQSize   int     `json:"dlq_size,omitempty"`
	Dropped   *uint64 `json:"dropped,omitempty"`
	Enabled   bool    `json:"enabled"`
	Endpoint  string  `json:"endpoint,omitempty"`
	Exported  *uint64 `json:"exported,omitempty"`
	Failed    uint64  `json:"failed,omitempty"`
	Format    string  `json:"format,omitempty"`
	Lag       *uint64 `json:"lag,omitempty"`
	Required  bool    `json:"required,omitempty"`
	Type      string  `json:"type"`
	SinkTotals
	SinkTrouble
}

// GetAuditLogReply answers get_audit_log.
type GetAuditLogReply struct {
	Entries    []AuditEntry `json:"entries"`
	NextCursor string       `json:"next_cursor,omitempty"`
	Type       string       `json:"type"`
}

// AuditChainEnd describes the hash chain of a class: the newest event, and
// the newest that retention has cut off, from which the rest continues.
type AuditChainEnd struct {
	Class     string `json:"class"`
	HeadSeq   uint64 `json:"head_seq"`
	Head      string `json:"head"`
	AnchorSeq uint64 `json:"anchor_seq"`
	Anchor    string `json:"anchor"`
	Count     uint64 `json:"count"`
	Bytes     uint64 `json:"bytes"`
	Cut       uint64 `json:"cut"`
}

// AuditChainReply answers audit_chain.
type AuditChainReply struct {
	Chains    []AuditChainEnd `json:"chains"`
	ClusterID string          `json:"cluster_id"`
	Type      string          `json:"type"`
}

// AuditSink is a sink and how far it is.
type AuditSink struct {
	SinkConfig
	// HasSecret says that a token or signing secret is stored.
	HasSecret bool `json:"has_secret,omitempty"`
	// Seq is the newest event that was delivered, filtered or given up; Lag is
	// how many events after it are still to be delivered.
	Seq uint64 `json:"seq"`
	Lag uint64 `json:"lag"`
	// Delivered, Failed and Dropped count events since the sink has its address:
	// sent, put aside as dead letters, overtaken by retention.
	Delivered uint64 `json:"delivered"`
	Failed    uint64 `json:"failed"`
	Dropped   uint64 `json:"dropped"`
	DLQSize   int    `json:"dlq_size"`
	SinkTotals
	SinkTrouble
}

// AuditSinkReply answers audit_sink_put, audit_sink_delete and audit_replay.
type AuditSinkReply struct {
	Name string `json:"name"`
	Seq  uint64 `json:"seq,omitempty"`
	Type string `json:"type"`
}

// AuditSinkListReply answers audit_sink_list, by name.
type AuditSinkListReply struct {
	Sinks []AuditSink `json:"sinks"`
	Type  string      `json:"type"`
}

// WebhookEvent is an event as webhooks get it. Details have JSON types.
type WebhookEvent struct {
	EventID   uint64         `json:"event_id"`
	Action    string         `json:"action"`
	Timestamp string         `json:"timestamp"`
	Details   map[string]any `json:"details,omitempty"`
}

// GetWebhookDLQReply answers get_webhook_dlq.
type GetWebhookDLQReply struct {
	Count  int            `json:"count"`
	Events []WebhookEvent `json:"events"`
	Type   string         `json:"type"`
}

// DeadLetter is an event that could not be delivered.
type DeadLetter struct {
	WebhookEvent
	Sink     string `json:"sink"`
	Reason   string `json:"reason"`
	Attempts uint32 `json:"attempts"`
	// FailedAt is RFC 3339.
	FailedAt string `json:"failed_at"`
	// Retrying is true from dlq_retry until the leader has tried.
	Retrying bool `json:"retrying,omitempty"`
}

// DLQListReply answers dlq_list, oldest first.
type DLQListReply struct {
	Letters []DeadLetter `json:"letters"`
	Type    string       `json:"type"`
}

// DLQChangeReply answers dlq_retry and dlq_drop: how many letters it took.
type DLQChangeReply struct {
	Count int    `json:"count"`
	Name  string `json:"name"`
	Type  string `json:"type"`
}
