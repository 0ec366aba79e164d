// SPDX-License-Identifier: Apache-2.0

package protocol

// webhookCommands are the rows of commands.go about this subject.
var webhookCommands = []Command{
	{Code: 4, Name: "set_webhook", Group: GroupWebhook, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeWrite,
		Events: []string{EventWebhookConfigured}, newBody: body[SetWebhook](), newReply: reply[SetWebhookReply](), Doc: "set or clear the audit webhook"},
	{Code: 5, Name: "get_webhook", Group: GroupWebhook, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead, newBody: body[GetWebhook](), newReply: reply[GetWebhookReply](),
		Doc: "show the audit webhook and its counters"},
	{Code: 6, Name: "get_webhook_dlq", Group: GroupWebhook, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead,
		newBody: body[GetWebhookDLQ](), newReply: reply[GetWebhookDLQReply](), Doc: "list webhook deliveries that failed for good"},
	{Code: 72, Name: "dlq_list", Group: GroupWebhook, Auth: AuthAdmin, Mode: ModeRead,
		newBody: body[DeadLetters](), newReply: reply[DLQListReply](), Doc: "list a sink's dead letters with the reasons"},
	{Code: 73, Name: "dlq_retry", Group: GroupWebhook, Auth: AuthAdmin, Mode: ModeWrite, Events: []string{EventDLQRetried},
		newBody: body[DeadLetters](), newReply: reply[DLQChangeReply](), Doc: "deliver dead letters again"},
	{Code: 74, Name: "dlq_drop", Group: GroupWebhook, Auth: AuthAdmin, Mode: ModeWrite, Events: []string{EventDLQDropped},
		newBody: body[DeadLetters](), newReply: reply[DLQChangeReply](), Doc: "drop dead letters"},
}

// SetWebhook sets the audit webhook; an empty URL clears it.
type SetWebhook struct {
	URL string `json:"url,omitempty" read:"main"`
	// Secret signs deliveries as Standard Webhooks describe: whsec_ and base64.
	Secret Secret `json:"-" wire:"secret"`

	SecretFacts
}

// Validate bounds the URL and looks at the secret's form.
func (r *SetWebhook) Validate() *Error {
	if r.Secret != "" {
		if e := CheckWebhookSecret(r.Secret); e != nil {
			return e
		}
	}
	return checkSetting("url", r.URL)
}

// Sink is the webhook as a sink.
func (r *SetWebhook) Sink() SinkConfig {
	return SinkConfig{Name: SinkNameWebhook, Kind: SinkWebhook, Endpoint: r.URL}
}

// Targets is the webhook's address.
func (r *SetWebhook) Targets() []Target { return target("url", r.URL) }

// SealFields names the secret.
func (r *SetWebhook) SealFields() []SealField {
	return []SealField{{SinkSecretName(SinkNameWebhook), r.Secret, &r.SecretSealed}}
}

// GetWebhook asks for the audit webhook and its counters.
type GetWebhook struct{ noFields }

// GetWebhookDLQ asks for the dead letters of all webhooks, oldest first.
type GetWebhookDLQ struct{ noFields }

// DeadLetters names dead letters of a sink.
type DeadLetters struct {
	Name string `json:"name"`
	// EventID is of one dead letter, 0 for all of the sink.
	EventID uint64 `json:"event_id,omitempty"`
}

// Validate asks for the sink, which is the audit webhook when none is named.
func (r *DeadLetters) Validate() *Error {
	if r.Name == "" {
		r.Name = SinkNameWebhook
	}
	return nil
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
