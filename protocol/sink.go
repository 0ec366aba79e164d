// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/base64"
	"strings"
)

// sinkCommands are the rows of commands.go about this subject.
var sinkCommands = []Command{
	{Code: 68, Name: "audit_sink_put", Group: GroupAudit, Auth: AuthAdmin, Mode: ModeWrite, RefusesUnknown: true, Events: []string{EventSinkConfigured},
		newBody: body[AuditSinkPut](), newReply: reply[AuditSinkReply](), Doc: "create or replace a sink of the audit log"},
	{Code: 69, Name: "audit_sink_delete", Group: GroupAudit, Auth: AuthAdmin, Mode: ModeWrite, Events: []string{EventSinkDeleted},
		newBody: body[SinkName](), newReply: reply[AuditSinkReply](), Doc: "delete a sink of the audit log"},
	{Code: 70, Name: "audit_sink_list", Group: GroupAudit, Auth: AuthAdmin, Mode: ModeRead,
		newBody: body[AuditQuery](), newReply: reply[AuditSinkListReply](), Doc: "list the sinks of the audit log and how far each is"},
}

// Kinds of sinks: consumers of the event log, each with a replicated cursor.
const (
	SinkExport  = "export"
	SinkWebhook = "webhook"
	SinkLog     = "log"
)

// Names of the sinks that the protocol's own commands configure, and of the
// leader's structured log, which every cluster has until it is deleted.
const (
	SinkNameExport  = "audit_export"
	SinkNameWebhook = "audit_webhook"
	SinkNameLog     = "log"
)

// Formats of exports.
const (
	FormatJSON   = "json"
	FormatSplunk = "splunk_hec"
	FormatCEF    = "syslog_cef"
	FormatFile   = "file"
)

// Bounds of sinks.
const (
	// MaxSinks is how many sinks a cluster may have.
	MaxSinks = 32
	// MaxSinkText bounds endpoints, indexes and sources, in bytes.
	MaxSinkText = 2048
	// DefaultMaxLag is how many events a required sink may be behind.
	DefaultMaxLag = 10_000
	// MaxDeadLetters is how many dead letters a sink keeps; the oldest give way.
	MaxDeadLetters = 100
)

// Sealed is a secret that has to be read back, encrypted under version Key of
// the cluster keyring with the object's name as associated data.
type Sealed struct {
	Key        uint32 `json:"key"`
	Nonce      []byte `json:"nonce"`
	Ciphertext []byte `json:"ciphertext"`
}

// IsZero reports whether there is no secret.
func (s Sealed) IsZero() bool { return len(s.Ciphertext) == 0 }

// SealField is a secret in a request that has to be encrypted before the
// request enters the log, under a name that it cannot be taken away from.
type SealField struct {
	Name  string
	Plain Secret
	Out   *Sealed
}

// SecretFacts are part of the requests that set a sink's secret.
type SecretFacts struct {
	SecretSealed Sealed `json:"secret_sealed,omitzero"`
}

// SealBody is a request with such secrets.
type SealBody interface {
	Body
	SealFields() []SealField
}

// Target is an address in a request that the registry is to call. It is
// checked once, at the front door: how an address is parsed may differ
// between versions, so the state machine never parses one.
type Target struct {
	Field, URL string
	// File: it is no URL but the path of a file that the registry is to write.
	File bool
}

// TargetBody is a request with such addresses.
type TargetBody interface {
	Body
	Targets() []Target
}

// SinkSecretName is the name a sink's secret is encrypted under.
func SinkSecretName(sink string) string { return "sink/" + sink }

// SinkConfig is what the operator says about a sink.
type SinkConfig struct {
	Name string `json:"name"`
	// Kind is export, webhook or log.
	Kind string `json:"kind"`
	// Format is of an export: json, splunk_hec, syslog_cef or file.
	Format string `json:"format,omitempty"`
	// Endpoint is a URL; for syslog_cef also udp://, tcp:// or tls://host:port;
	// for file the path on the member that leads.
	Endpoint string `json:"endpoint,omitempty"`
	Index    string `json:"index,omitempty"`
	Source   string `json:"source,omitempty"`
	// Ack asks a splunk_hec endpoint to acknowledge that events are indexed.
	Ack bool `json:"ack,omitempty"`
	// Batch sends several events in one request of json, or of syslog_cef over
	// HTTP, a line each.
	Batch bool `json:"batch,omitempty"`
	// Framing says how messages of syslog_cef end over tcp:// and tls://:
	// octet_counting (RFC 6587, the default), newline or nul.
	Framing string `json:"framing,omitempty"`
	// Required makes writes wait for this sink: when it is more than MaxLag
	// events behind, they are refused.
	Required bool   `json:"required,omitempty"`
	MaxLag   uint32 `json:"max_lag,omitempty"`
	// Actions are patterns of audit actions such as member.*; none means all.
	Actions []string `json:"actions,omitempty"`
	// Networks restrict the sink to events of networks, by decimal id.
	Networks []string `json:"networks,omitempty"`
}

// Check refuses a configuration that makes no sense. Its address is checked
// as a [Target].
func (s *SinkConfig) Check() *Error {
	if !validSinkName(s.Name) {
		return Errorf(CodeInvalid, "invalid sink name: want 1 to 32 of a-z, 0-9, - and _")
	}
	for _, t := range []string{s.Endpoint, s.Index, s.Source} {
		if len(t) > MaxSinkText || strings.ContainsAny(t, "\x00\r\n") {
			return Errorf(CodeInvalid, "invalid sink: a field is too long (max %d bytes) or has a line break", MaxSinkText)
		}
	}
	if len(s.Actions) > 64 || len(s.Networks) > 64 {
		return Errorf(CodeInvalid, "invalid sink: too many filters (max 64)")
	}
	for _, p := range s.Actions {
		if head, _, many := strings.Cut(p, "*"); p == "" || len(p) > 64 || many && head+"*" != p {
			return Errorf(CodeInvalid, "invalid actions: want actions such as network.deleted, or their beginnings such as member.*")
		}
	}
	for _, n := range s.Networks {
		if id, ok := parseNetworkID(n); !ok || id == 0 {
			return Errorf(CodeInvalid, "invalid networks: want network ids")
		}
	}
	switch {
	case s.Framing != "" && !s.canFrame():
		return Errorf(CodeInvalid, "invalid framing: it is for exports of format syslog_cef to tcp:// and tls://")
	case s.Framing != "" && !validFraming(s.Framing):
		return Errorf(CodeInvalid, "invalid framing %s: want octet_counting, newline or nul", Quote(s.Framing))
	case s.Batch && !s.canBatch():
		return Errorf(CodeInvalid, "invalid batch: it is for exports of format json, and of syslog_cef over HTTP; splunk_hec and file have it always")
	case s.Kind == SinkLog:
		return nil
	case s.Endpoint == "":
		return Errorf(CodeInvalid, "endpoint is required")
	case s.Kind == SinkWebhook:
		return nil
	case s.Kind != SinkExport:
		return Errorf(CodeInvalid, "invalid kind: want export, webhook or log")
	}
	switch s.Format {
	case FormatJSON, FormatSplunk, FormatCEF:
		return nil
	case FormatFile:
		if s.Endpoint[0] != '/' {
			return Errorf(CodeInvalid, "invalid endpoint: a file export wants an absolute path")
		}
		return nil
	}
	return Errorf(CodeInvalid, "invalid audit_export format %s", Quote(s.Format))
}

// canBatch reports whether the sink sends an event a request otherwise.
func (s *SinkConfig) canBatch() bool {
	web := strings.HasPrefix(s.Endpoint, "http://") || strings.HasPrefix(s.Endpoint, "https://")
	return s.Kind == SinkExport && (s.Format == FormatJSON || s.Format == FormatCEF && web)
}

func (s *SinkConfig) canFrame() bool {
	stream := strings.HasPrefix(s.Endpoint, "tcp://") || strings.HasPrefix(s.Endpoint, "tls://")
	return s.Kind == SinkExport && s.Format == FormatCEF && stream
}

// Targets is what the sink calls.
func (s *SinkConfig) Targets() []Target {
	switch {
	case s.Kind == SinkLog:
		return nil
	case s.Kind == SinkExport && s.Format == FormatFile:
		return []Target{{Field: "endpoint", URL: s.Endpoint, File: true}}
	}
	if s.Kind == SinkExport && s.Format == FormatCEF {
		for _, scheme := range []string{"udp://", "tcp://", "tls://"} {
			if rest, is := strings.CutPrefix(s.Endpoint, scheme); is {
				return []Target{{Field: "endpoint", URL: "http://" + rest}}
			}
		}
	}
	return []Target{{Field: "endpoint", URL: s.Endpoint}}
}

// Wants reports whether the sink's filters let an event through.
func (s *SinkConfig) Wants(e *AuditEvent) bool {
	return MatchAction(s.Actions, e.Action) && (len(s.Networks) == 0 || contains(s.Networks, e.Attr("network_id")))
}

// Ways in which messages of syslog over TCP and TLS end.
const (
	FramingOctets  = "octet_counting"
	FramingNewline = "newline"
	FramingNUL     = "nul"
)

func validFraming(f string) bool {
	return f == FramingOctets || f == FramingNewline || f == FramingNUL
}

func validSinkName(s string) bool {
	for _, c := range []byte(s) {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

func parseNetworkID(s string) (id uint16, ok bool) {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || n > 0xffff {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return uint16(n), s != "" && n <= 0xffff
}

// MatchAction reports whether an action is one of the patterns: whole
// actions, or beginnings that end with *. No pattern matches all.
func MatchAction(patterns []string, action string) bool {
	for _, p := range patterns {
		if head, many := strings.CutSuffix(p, "*"); p == action || many && strings.HasPrefix(action, head) {
			return true
		}
	}
	return len(patterns) == 0
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// CheckWebhookSecret refuses what is not a secret of Standard Webhooks: whsec_
// and the base64 of 24 to 64 bytes.
func CheckWebhookSecret(s Secret) *Error {
	rest, ok := strings.CutPrefix(string(s), "whsec_")
	raw, err := base64.StdEncoding.DecodeString(rest)
	if !ok || err != nil || len(raw) < 24 || len(raw) > 64 {
		return Errorf(CodeInvalid, "invalid secret: want whsec_ and the base64 of 24 to 64 random bytes")
	}
	return nil
}

// AuditSinkPut creates or replaces a sink.
type AuditSinkPut struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Format   string   `json:"format,omitempty"`
	Endpoint string   `json:"endpoint,omitempty"`
	Index    string   `json:"index,omitempty"`
	Source   string   `json:"source,omitempty"`
	Ack      bool     `json:"ack,omitempty"`
	Framing  string   `json:"framing,omitempty"`
	Batch    bool     `json:"batch,omitempty"`
	Required bool     `json:"required,omitempty"`
	MaxLag   uint32   `json:"max_lag,omitempty"`
	Actions  []string `json:"actions,omitempty"`
	Networks []string `json:"networks,omitempty"`
	// Secret is the token of an export or the signing secret of a webhook. Without
	// one a sink whose endpoint stays keeps the secret it has.
	Secret Secret `json:"-" wire:"secret"`

	SecretFacts
}

// Sink is the sink in the request.
func (r *AuditSinkPut) Sink() SinkConfig {
	return SinkConfig{Name: r.Name, Kind: r.Kind, Format: r.Format, Endpoint: r.Endpoint, Index: r.Index, Source: r.Source, Ack: r.Ack,
		Batch: r.Batch, Framing: r.Framing, Required: r.Required, MaxLag: r.MaxLag, Actions: r.Actions, Networks: r.Networks}
}

// Validate looks at the sink.
func (r *AuditSinkPut) Validate() *Error {
	if r.Kind == SinkWebhook && r.Secret != "" {
		if e := CheckWebhookSecret(r.Secret); e != nil {
			return e
		}
	}
	s := r.Sink()
	return s.Check()
}

// Targets is the sink's address.
func (r *AuditSinkPut) Targets() []Target {
	s := r.Sink()
	return s.Targets()
}

// SealFields names the secret.
func (r *AuditSinkPut) SealFields() []SealField {
	return []SealField{{SinkSecretName(r.Name), r.Secret, &r.SecretSealed}}
}

// SinkName names a sink.
type SinkName struct {
	Name string `json:"name"`
}

// Validate asks for the name.
func (r *SinkName) Validate() *Error {
	if r.Name == "" {
		return Errorf(CodeInvalid, "name is required")
	}
	return nil
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
	// Tries is how many tries in a row failed, NextTry when it is tried
	// next (RFC 3339), by log time.
	Tries   uint32 `json:"tries,omitempty"`
	NextTry string `json:"next_try,omitempty"`
}

// AuditSink is a sink and how far it is. It has 27 fields with those that are
// embedded, because the reply is one flat object with that many keys.
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
