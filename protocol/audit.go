// SPDX-License-Identifier: Apache-2.0

package protocol

// auditCommands are the rows of commands.go about this subject.
var auditCommands = []Command{
	{Code: 3, Name: "get_audit_log", Group: GroupAudit, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead, Lists: true,
		newBody: body[GetAuditLog](), newReply: reply[GetAuditLogReply](), Doc: "read the audit log, newest first"},
	{Code: 11, Name: "set_audit_export", Group: GroupAudit, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeWrite, RefusesUnknown: true,
		Events: []string{EventAuditExportConfigured}, newBody: body[SetAuditExport](), newReply: reply[SetAuditExportReply](), Doc: "configure the audit export"},
	{Code: 12, Name: "get_audit_export", Group: GroupAudit, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead,
		newBody: body[GetAuditExport](), newReply: reply[GetAuditExportReply](), Doc: "show the audit export and its counters"},
	{Code: 67, Name: "audit_chain", Group: GroupAudit, Auth: AuthAdmin, Mode: ModeRead,
		newBody: body[AuditQuery](), newReply: reply[AuditChainReply](), Doc: "show the ends of the audit log's hash chains"},
	{Code: 71, Name: "audit_replay", Group: GroupAudit, Auth: AuthAdmin, Mode: ModeWrite, RefusesUnknown: true, Events: []string{EventAuditReplayed},
		newBody: body[AuditReplay](), newReply: reply[AuditSinkReply](), Doc: "set a sink back, so that it delivers events again"},
}

// States of a configuration in replies.
const (
	StatusEnabled  = "enabled"
	StatusDisabled = "disabled"
)

// SetAuditExport configures the audit export; with an empty format and an empty
// endpoint it switches the export off.
type SetAuditExport struct {
	Format   string `json:"format,omitempty" read:"main"`
	Endpoint string `json:"endpoint,omitempty" read:"main"`
	Token    Secret `json:"-" wire:"token"`
	Index    string `json:"index,omitempty"`
	Source   string `json:"source,omitempty"`
	Ack      bool   `json:"ack,omitempty"`
	Framing  string `json:"framing,omitempty"`
	Batch    bool   `json:"batch,omitempty"`
	Required bool   `json:"required,omitempty"`
	MaxLag   uint32 `json:"max_lag,omitempty"`

	ExportFacts
}

// ExportFacts stand for the token of the audit export.
type ExportFacts struct {
	TokenSealed Sealed `json:"token_sealed,omitzero"`
}

// Off reports whether the request switches the export off.
func (r *SetAuditExport) Off() bool { return r.Format == "" || r.Endpoint == "" }

// Sink is the export as a sink.
func (r *SetAuditExport) Sink() SinkConfig {
	return SinkConfig{Name: SinkNameExport, Kind: SinkExport, Format: r.Format, Endpoint: r.Endpoint, Index: r.Index, Source: r.Source,
		Ack: r.Ack, Batch: r.Batch, Framing: r.Framing, Required: r.Required, MaxLag: r.MaxLag}
}

// Validate refuses formats that are not known and fields that are too long.
func (r *SetAuditExport) Validate() *Error {
	if e := bothOrNone("format", r.Format, "endpoint", r.Endpoint, "the export is switched off"); e != nil {
		return e
	}
	if r.Off() {
		return nil
	}
	s := r.Sink()
	return s.Check()
}

// Targets is the endpoint's address.
func (r *SetAuditExport) Targets() []Target {
	if r.Off() {
		return nil
	}
	s := r.Sink()
	return s.Targets()
}

// SealFields names the token.
func (r *SetAuditExport) SealFields() []SealField {
	return []SealField{{SinkSecretName(SinkNameExport), r.Token, &r.TokenSealed}}
}

// GetAuditExport asks for the audit export and its counters.
type GetAuditExport struct{ noFields }

// EachID visits the person asked about.
func (r *GetAuditLog) EachID(visit func(string, *IDKeys)) { visit(r.ExternalID, &r.Keys) }

// SetForms fills in Forms.
func (r *GetAuditLog) SetForms(forms func(string) []string) { r.Forms = forms(r.ExternalID) }

// GetAuditLog asks for events, newest first.
type GetAuditLog struct {
	NetworkID uint16 `json:"network_id,omitempty"`
	NodeID    uint32 `json:"node_id,omitempty"`
	// ExternalID is of the person that an event names.
	ExternalID string `json:"external_id,omitempty"`
	PersonFacts
	// Action is an action such as member.kicked, or a beginning such as member.*.
	Action string `json:"action,omitempty"`
	// Class is security or activity; empty is both.
	Class string `json:"class,omitempty"`
	// Since and Until are RFC 3339; Since is included, Until is not.
	Since string `json:"since,omitempty"`
	Until string `json:"until,omitempty"`
	// AfterSeq asks for events after a sequence number, oldest first.
	AfterSeq uint64 `json:"after_seq,omitempty"`
	// Ascending lists the oldest first.
	Ascending bool `json:"ascending,omitempty"`
}

// Validate looks at the filters' forms.
func (r *GetAuditLog) Validate() *Error {
	if r.Class != "" && r.Class != ClassSecurity.String() && r.Class != ClassActivity.String() {
		return Errorf(CodeInvalid, "invalid class: want security or activity")
	}
	for _, f := range [][2]string{{"since", r.Since}, {"until", r.Until}} {
		if _, ok := ParseTime(f[1]); f[1] != "" && !ok {
			return Errorf(CodeInvalid, "invalid %s: want a time such as 2026-03-31T10:20:30Z", f[0])
		}
	}
	return nil
}

// AuditQuery asks for the chains of the event log, or for the list of sinks.
type AuditQuery struct{ noFields }

// AuditReplay sets a sink back, so that it delivers events again.
type AuditReplay struct {
	Name string `json:"name"`
	// FromSeq is the first event to deliver.
	FromSeq uint64 `json:"from_seq"`
}

// Validate asks for both fields.
func (r *AuditReplay) Validate() *Error {
	if r.Name == "" || r.FromSeq == 0 {
		return Errorf(CodeInvalid, "name and from_seq are required")
	}
	return nil
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
