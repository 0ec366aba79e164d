// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"strconv"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

type nodeData struct {
	// Node and Key are nil of a node that is offline.
	Node *protocol.LookupReply
	Key  *protocol.GetKeyInfoReply
	// Known is what the state says of the node, Ending what of it ends soon.
	Known  fsm.NodeDetail
	Ending []ending
	Events []protocol.AuditEntry
}

// nodePage shows a node that is online, or one that may come back.
func (c *Console) nodePage(v *visit) (*content, *protocol.Error) {
	id, err := strconv.ParseUint(v.r.PathValue("id"), 10, 32)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "%s is not a node id", protocol.Quote(v.r.PathValue("id")))
	}
	d := &nodeData{}
	found := false
	node, e := ask[protocol.LookupReply](v, "lookup", map[string]any{"node_id": id})
	if d.Known, found = c.cfg.Inspect().Node(uint32(id), perPage); !found {
		d.Known.ID = uint32(id)
	}
	switch {
	case e == nil:
		d.Node = node
		if d.Key, e = ask[protocol.GetKeyInfoReply](v, "get_key_info", map[string]any{"node_id": id}); e != nil {
			return nil, e
		}
	case e.Code != protocol.CodeNotFound || !found || d.Known.Online:
		return nil, e
	}
	d.Ending = endingsOf(&d.Known.NodeSummary, c.cfg.Now())
	log, e := ask[protocol.GetAuditLogReply](v, "get_audit_log", map[string]any{"node_id": id, "limit": 20})
	if e != nil {
		return nil, e
	}
	d.Events = log.Entries
	title := fmt.Sprintf("Who is node %d?", id)
	return &content{Template: "node", Title: title, Data: d, Command: fmt.Sprintf("pilotctl lookup %d", id)}, nil
}
