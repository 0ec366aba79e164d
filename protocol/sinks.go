// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/base64"
	"strings"
)

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

// Ways in which messages of syslog over TCP and TLS end.
const (
	FramingOctets  = "octet_counting"
	FramingNewline = "newline"
	FramingNUL     = "nul"
)

func validFraming(f string) bool {
	return f == FramingOctets || f == FramingNewline || f == FramingNUL
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

// Wants reports whether the sink's filters let an event through.
func (s *SinkConfig) Wants(e *AuditEvent) bool {
	return MatchAction(s.Actions, e.Action) && (len(s.Networks) == 0 || contains(s.Networks, e.Attr("network_id")))
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

// CheckWebhookSecret refuses what is no secret of Standard Webhooks: whsec_
// and the base64 of 24 to 64 bytes.
func CheckWebhookSecret(s Secret) *Error {
	rest, ok := strings.CutPrefix(string(s), "whsec_")
	raw, err := base64.StdEncoding.DecodeString(rest)
	if !ok || err != nil || len(raw) < 24 || len(raw) > 64 {
		return Errorf(CodeInvalid, "invalid secret: want whsec_ and the base64 of 24 to 64 random bytes")
	}
	return nil
}
