// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// trailPage is how many events are asked for at once.
const trailPage = 1000

// ask asks a member as administrator, again until it answers or ctx ends. It
// is not recorded: what is asked so are sinks and the audit log, which
// checkers of their own look at.
func (c *Client) ask(ctx context.Context, m Member, command string, body protocol.Body, o protocol.Options, reply any) (index uint64, err error) {
	row := protocol.Must(command)
	frame := c.frame(row, Request{Body: body, Admin: true}, o)
	for {
		var op history.Op
		v := c.sendOnce(ctx, row, m, frame, &op)
		if v.Outcome == history.OK {
			return v.Index, json.Unmarshal(v.Reply, reply)
		}
		if err := pause(ctx); err != nil {
			return 0, fmt.Errorf("member %s does not answer %s (%s: %s): %w", m.Name, command, v.Code, v.Text, err)
		}
	}
}

// trail is a member's audit log and its chains.
type trail struct {
	member  string
	entries []protocol.AuditEntry
	chains  []protocol.AuditChainEnd
}

// readTrail reads the audit log that a member itself has, at least up to an
// index, again while events come or are cut off meanwhile.
func (c *Client) readTrail(ctx context.Context, m Member, index uint64) (*trail, error) {
	o := protocol.Options{Consistency: protocol.Stale, MinIndex: index, Limit: trailPage}
	for {
		var before, after protocol.AuditChainReply
		if _, err := c.ask(ctx, m, "audit_chain", &protocol.AuditQuery{}, o, &before); err != nil {
			return nil, err
		}
		t := &trail{member: m.Name, chains: before.Chains}
		page := protocol.GetAuditLogReply{NextCursor: " "}
		for o.Cursor = ""; page.NextCursor != ""; o.Cursor = page.NextCursor {
			page = protocol.GetAuditLogReply{}
			if _, err := c.ask(ctx, m, "get_audit_log", &protocol.GetAuditLog{Ascending: true}, o, &page); err != nil {
				return nil, err
			}
			t.entries = append(t.entries, page.Entries...)
		}
		o.Cursor = ""
		if _, err := c.ask(ctx, m, "audit_chain", &protocol.AuditQuery{}, o, &after); err != nil {
			return nil, err
		}
		if reflect.DeepEqual(before.Chains, after.Chains) {
			return t, nil
		}
	}
}

// present is the index that the cluster is at.
func (c *Client) present(ctx context.Context, m Member) (uint64, error) {
	var chain protocol.AuditChainReply
	return c.ask(ctx, m, "audit_chain", &protocol.AuditQuery{}, protocol.Options{Consistency: protocol.Linearizable}, &chain)
}
