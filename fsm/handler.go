// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"encoding/json"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// invocation is one run of a handler: the command, its caller, and what the
// handler notes for the audit trail. A dry run and a read make it from a
// [Call], Apply from an [Envelope].
type invocation struct {
	row      *protocol.Command
	body     protocol.Body
	actor    Actor
	sigError *protocol.Error
	source   string
	relay    string // see [Call.Relay]
	limit    int
	cursor   string
	// via is who a role command acts for when neither a node's signature nor
	// the admin token stands behind it; the decision sets it for the audit trail.
	via string
	// same says that the command changes nothing, see [invocation.unchanged].
	same bool
}

// unchanged decides that a command changes nothing and gets this reply. It
// needs no place in the log, and causes no event.
func (c *invocation) unchanged(reply any) (effect, *protocol.Error) {
	c.same = true
	return func(*txn) any { return reply }, nil
}

// effect changes the state and builds the reply. It may keep the body of the
// invocation it came from, but not the invocation. It runs only in Apply, right
// after the decision that returned it, on the same state.
type effect func(x *txn) any

// decision reads the state and either returns the effect or refuses. A
// refusal may come with an effect, which then only notes the refusal in the
// event log; a dry run lets such a refusal through, so that Apply sees it.
type decision func(v *view, c *invocation) (effect, *protocol.Error)

// query answers a read from a state.
type query func(v *view, c *invocation) (any, *protocol.Error)

// handler is what a row of protocol.Commands does: decide for commands that
// go through consensus, read for those that are served by a member. A
// read_then_write command has both. plan answers a dry run that a client asks
// for, where the row has one.
type handler struct {
	decide decision
	read   query
	plan   query
}

// handlers binds the rows of protocol.Commands by name.
var handlers = withNext(map[string]handler{
	"create_network":  {decide: decideCreateNetwork},
	"join_network":    {decide: decideJoinNetwork},
	"leave_network":   {decide: decideLeaveNetwork},
	"delete_network":  {decide: decideDeleteNetwork},
	"rename_network":  {decide: decideRenameNetwork},
	"list_networks":   {read: readListNetworks},
	"get_member_role": {read: readMemberRole},
	"set_member_tags": {decide: decideSetMemberTags},
	"get_member_tags": {read: readMemberTags},
	"set_expr_policy": {decide: decideSetExprPolicy},
	"get_expr_policy": {read: readExprPolicy},

	"submit_badge":     {decide: decideSubmitBadge},
	"enroll_recovery":  {decide: decideEnrollRecovery},
	"recover_identity": {decide: decideRecover},

	"set_network_enterprise": {decide: decideSetEnterprise},
	"invite_to_network":      {decide: decideInvite},
	"poll_invites":           {read: readInvites},
	"respond_invite":         {decide: decideRespondInvite},
	"promote_member":         {decide: decidePromote},
	"demote_member":          {decide: decideDemote},
	"kick_member":            {decide: decideKick},
	"transfer_ownership":     {decide: decideTransfer},
	"set_network_policy":     {decide: decideSetPolicy},
	"get_network_policy":     {read: readPolicyOf},
	"set_idp_config":         {decide: decideSetIDP},
	"get_idp_config":         {read: readIDP},
	"validate_token":         {read: readValidateToken},
	"set_identity_webhook":   {decide: decideSetIdentityWebhook},
	"set_webhook":            {decide: decideSetWebhook},
	"get_webhook":            {read: readWebhook},
	"get_webhook_dlq":        {read: readWebhookDLQ},
	"set_audit_export":       {decide: decideSetAuditExport},
	"get_audit_export":       {read: readAuditExport},
	"get_audit_log":          {read: readAuditLog},
	"audit_chain":            {read: readAuditChain},
	"audit_sink_put":         {decide: decideSinkPut},
	"audit_sink_delete":      {decide: decideSinkDelete},
	"audit_sink_list":        {read: readSinks},
	"audit_replay":           {decide: decideReplay},
	"dlq_list":               {read: readDLQList},
	"dlq_retry":              {decide: decideDLQRetry},
	"dlq_drop":               {decide: decideDLQDrop},
	"set_setting":            {decide: decideSetSetting},
	"list_settings":          {read: readSettingsList},
	"person_export":          {read: readPerson},
	"person_forget":          {decide: decideForgetPerson},
	"set_external_id":        {decide: decideSetExternalID},
	"get_identity":           {read: readIdentity},
	"directory_sync":         {decide: decideDirectorySync, plan: planDirectorySync},
	"directory_status":       {read: readDirectoryStatus},
	"provision_network":      {decide: decideProvision, plan: planProvision},
	"get_provision_status":   {read: readProvisionStatus},

	"cluster_join_token_list":   {read: readJoinTokens},
	"cluster_join_token_revoke": {decide: decideRevokeJoinToken},

	"register":            {decide: decideRegister},
	"deregister":          {decide: decideDeregister},
	"heartbeat":           {decide: decideHeartbeat},
	"lookup":              {read: readLookup},
	"resolve":             {read: readResolve},
	"punch":               {read: readPunch},
	"list_nodes":          {read: readListNodes},
	"resolve_hostname":    {read: readResolveHostname},
	"set_hostname":        {decide: decideSetHostname},
	"set_tags":            {decide: decideSetTags},
	"set_task_exec":       {decide: decideSetTaskExec},
	"set_signed_register": {decide: decideSetSignedRegister},
	"set_visibility":      {decide: decideSetVisibility},
	"rotate_key":          {decide: decideRotateKey},
	"set_key_expiry":      {decide: decideSetKeyExpiry},
	"get_key_info":        {read: readKeyInfo},
	"report_trust":        {decide: decideReportTrust},
	"revoke_trust":        {decide: decideRevokeTrust},
	"check_trust":         {read: readCheckTrust},
	"request_handshake":   {decide: decideRequestHandshake},
	"poll_handshakes":     {decide: decidePollHandshakes, read: readPollHandshakes},
	"respond_handshake":   {decide: decideRespondHandshake},
	"update_polo_score":   {decide: decideUpdatePolo},
	"set_polo_score":      {decide: decideSetPolo},
	"get_polo_score":      {read: readPolo},
	"beacon_register":     {decide: decideBeaconRegister},
	"beacon_list":         {read: readBeaconList},
})

// binding is a row with its handler.
type binding struct {
	row *protocol.Command
	handler
}

// bindings are the rows that have a handler, by code.
var bindings = func() []binding {
	var out []binding
	for i := range protocol.Commands {
		row := &protocol.Commands[i]
		for int(row.Code) >= len(out) {
			out = append(out, binding{})
		}
		if h, ok := handlers[row.Name]; ok && row.Level() <= LevelMax {
			out[row.Code] = binding{row, h}
		}
	}
	return out
}()

// bound finds the row of a code and its handler, nil when this version has none.
func bound(code protocol.Code) *binding {
	if int(code) < len(bindings) && bindings[code].row != nil {
		return &bindings[code]
	}
	return nil
}

func callOf(c *Call) *invocation {
	return &invocation{row: c.Row, body: c.Body, actor: c.Actor, sigError: c.SigError, source: c.Source, relay: c.Relay, limit: c.Options.Limit, cursor: c.Options.Cursor}
}

// Read answers a read from this state. For a read_then_write command it says
// whether there is something to take away, see [ReadResult].
func (r *Root) Read(c *Call) (ReadResult, *protocol.Error) {
	h := handlers[c.Row.Name]
	if h.read == nil {
		return ReadResult{}, protocol.Errorf(protocol.CodeNotImplemented, "%s is not a read", c.Row.Name)
	}
	if e := r.view.active(c.Row); e != nil {
		return ReadResult{}, e
	}
	if _, ts, signed := r.requestID(c.Options.RequestID); signed {
		if e := r.freshSignature(ts); e != nil {
			return ReadResult{}, e
		}
	}
	reply, e := h.read(&r.view, callOf(c))
	if e != nil {
		return ReadResult{}, e
	}
	if drain, ok := reply.(*drained); ok {
		return ReadResult{Reply: drain.reply, Propose: drain.found()}, nil
	}
	return ReadResult{Reply: reply}, nil
}

// Plan answers a dry run that a client asked for: what the command would
// change on this state.
func (r *Root) Plan(c *Call) (any, *protocol.Error) {
	h := handlers[c.Row.Name]
	if h.plan == nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "invalid dry_run: %s does not support it", c.Row.Name)
	}
	if e := r.view.active(c.Row); e != nil {
		return nil, e
	}
	return h.plan(&r.view, callOf(c))
}

// Check says whether a write would be refused on this state. Success is
// provisional: Apply decides again.
func (r *Root) Check(c *Call) *protocol.Error {
	_, e := r.Decide(c)
	return e
}

// Decide is Check that also says whether the command would change
// anything: if not, unchanged is its reply, otherwise nil.
func (r *Root) Decide(c *Call) (unchanged any, e *protocol.Error) {
	h := handlers[c.Row.Name]
	if h.decide == nil {
		return nil, protocol.Errorf(protocol.CodeNotImplemented, "%s is not a write", c.Row.Name)
	}
	id, ts, signed := r.requestID(c.Options.RequestID)
	if id != "" && !c.Row.Soft {
		by := bearerOf(c.Body, c.Actor, c.Source)
		if _, e := r.view.once.roomFor(id, c.Body, &by); e != nil {
			return nil, e
		}
	}
	if signed {
		if e := r.freshSignature(ts); e != nil {
			return nil, e
		}
	}
	if e := r.view.active(c.Row); e != nil {
		return nil, e
	}
	decided := callOf(c)
	if e := r.view.audited(decided); e != nil {
		return nil, e
	}
	effect, e := h.decide(&r.view, decided)
	switch {
	case e != nil && effect != nil: // Apply notes the refusal
		return nil, nil
	case e == nil && decided.same:
		return effect(nil), nil
	}
	return nil, e
}

// active refuses commands that the state's feature level does not allow yet.
func (v *view) active(row *protocol.Command) *protocol.Error {
	if row.Level() <= v.meta.level {
		return nil
	}
	if v.meta.level == 0 {
		return protocol.Refusef(protocol.CodeFeatureNotActive, "%s is not active: the cluster is not initialised yet; try again shortly", row.Name)
	}
	return protocol.Refusef(protocol.CodeFeatureNotActive,
		"%s needs feature level %d and the cluster is at %d; upgrade every member first", row.Name, row.Level(), v.meta.level)
}

func render(reply any) protocol.Rendered {
	if rendered, ok := reply.(protocol.Rendered); ok {
		return rendered
	}
	b, err := json.Marshal(reply)
	if err != nil { // reply types hold only strings, numbers and lists of them
		panic(err)
	}
	return b
}
