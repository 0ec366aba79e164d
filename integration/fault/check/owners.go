// SPDX-License-Identifier: Apache-2.0

package check

import (
	"encoding/json"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// ownerWatch checks, at every index, the ownership of enterprise networks that
// create_network made: never two owners, and never none while there are
// members. It knows a network from its creation on.
type ownerWatch map[uint16]bool

// entry looks at the networks that the commands of an entry name. A node that
// leaves the registry may leave networks that its command does not name: they
// are looked at when somebody names them.
func (w ownerWatch) entry(r *replay, e *fsm.Entry, results []fsm.Result) {
	for i := range results {
		row := protocol.ByCode(e.Envelopes[i].Code)
		if row == nil || results[i].Err != nil || results[i].Replayed {
			continue
		}
		var body struct {
			NetworkID  uint16 `json:"network_id"`
			Enterprise bool   `json:"enterprise"`
		}
		if row.Name == "create_network" {
			_ = json.Unmarshal(results[i].JSON(), &body) // the network of a reply that cannot be read stays unknown
			w[body.NetworkID] = body.Enterprise
		}
		if json.Unmarshal(e.Envelopes[i].Body, &body) != nil || !w[body.NetworkID] {
			continue
		}
		if row.Name == "set_network_enterprise" {
			delete(w, body.NetworkID)
			continue
		}
		members, owners := ownership(r.machine.Root(), body.NetworkID)
		if members > 0 && owners != 1 {
			r.fault(RuleOwners, "after entry %d network %d has %d members, of which %d are owners (%s)", r.at+1, body.NetworkID, members, owners, row.Name)
		}
	}
}

// ownership counts a network's members and owners.
func ownership(root *fsm.Root, net uint16) (members, owners int) {
	res, e := root.Read(&fsm.Call{Row: protocol.Must("list_nodes"), Body: &protocol.ListNodes{NetworkID: net},
		AdminError: protocol.Refusef(protocol.CodeAdminToken, "no admin token")})
	if e != nil {
		return 0, 0
	}
	for _, n := range res.Reply.(*protocol.ListNodesReply).Nodes {
		members++
		if n.Role == "owner" {
			owners++
		}
	}
	return members, owners
}
