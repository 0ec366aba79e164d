// SPDX-License-Identifier: Apache-2.0

package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// auditRule says which event each success of a command is.
type auditRule struct {
	action string
	// fields name what the two have in common: a field of the request and the
	// attribute of the event. The first says whose event it is.
	fields [][2]string
	// silent tells a success that changed nothing and has no event, when the
	// command has such.
	silent func(*history.Op) bool
	// repeats is set for commands that have no event when they set what is set
	// already.
	repeats bool
}

func same(names ...string) (out [][2]string) {
	for _, n := range names {
		out = append(out, [2]string{n, n})
	}
	return out
}

// audited are the commands that can be held against the audit log one by one.
var audited = map[string]auditRule{
	"update_polo_score": {action: protocol.EventPoloUpdated, fields: same("node_id", "delta")},
	"set_tags":          {action: protocol.EventTagsChanged, fields: same("node_id"), repeats: true},
	"set_visibility":    {action: protocol.EventVisibilityChanged, fields: [][2]string{{"node_id", "node_id"}, {"public", "new_public"}}, repeats: true},
	"set_hostname":      {action: protocol.EventHostnameChanged, fields: [][2]string{{"node_id", "node_id"}, {"hostname", "new_hostname"}}, repeats: true},
	"rotate_key":        {action: protocol.EventKeyRotated, fields: same("node_id")},
	"deregister":        {action: protocol.EventNodeDeregistered, fields: same("node_id"), silent: anything}, // also of a node that is gone

	"create_network":     {action: protocol.EventNetworkCreated, fields: same("name")},
	"delete_network":     {action: protocol.EventNetworkDeleted, fields: same("network_id")},
	"join_network":       {action: protocol.EventNetworkJoined, fields: same("network_id", "node_id")},
	"leave_network":      {action: protocol.EventNetworkLeft, fields: same("network_id", "node_id")},
	"promote_member":     {action: protocol.EventMemberPromoted, fields: same("network_id", "target_node_id")},
	"demote_member":      {action: protocol.EventMemberDemoted, fields: same("network_id", "target_node_id")},
	"kick_member":        {action: protocol.EventMemberKicked, fields: same("network_id", "target_node_id")},
	"transfer_ownership": {action: protocol.EventOwnershipTransferred, fields: [][2]string{{"network_id", "network_id"}, {"new_owner_id", "new_owner"}}},
	"invite_to_network":  {action: protocol.EventInviteCreated, fields: same("network_id", "inviter_id", "target_node_id"), silent: alreadyInvited},
	"respond_invite":     {action: protocol.EventInviteResponded, fields: [][2]string{{"network_id", "network_id"}, {"node_id", "node_id"}, {"accept", "accepted"}}},
}

func anything(*history.Op) bool { return true }

func alreadyInvited(op *history.Op) bool {
	var reply struct {
		Status string `json:"status"`
	}
	return json.Unmarshal(op.Reply, &reply) == nil && reply.Status == "already_invited"
}

// subjectOf is what a request is about, and who that belongs to.
func (r auditRule) subjectOf(op *history.Op) (subject, owner string, ok bool) {
	var args map[string]any
	d := json.NewDecoder(bytes.NewReader(op.Args))
	d.UseNumber() // as it was written
	if d.Decode(&args) != nil {
		return "", "", false
	}
	values := make([]string, len(r.fields))
	for i, f := range r.fields {
		switch v := args[f[0]].(type) {
		case nil:
			values[i] = "" // left out: empty, 0 or false
		default:
			values[i] = bare(fmt.Sprint(v))
		}
	}
	return strings.Join(values, " "), values[0], true
}

// subjectIn is what an event is about, in the same words.
func (r auditRule) subjectIn(e *protocol.AuditEntry) (subject, owner string) {
	values := make([]string, len(r.fields))
	for i, f := range r.fields {
		for _, a := range e.Attrs {
			if a[0] == f[1] {
				values[i] = bare(a[1])
			}
		}
	}
	return strings.Join(values, " "), values[0]
}

// bare makes equal what a request may leave out.
func bare(value string) string {
	if value == "0" || value == "false" {
		return ""
	}
	return value
}
