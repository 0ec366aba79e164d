// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const directorySyncOK = "directory_sync_ok"

// directoryRequest is a directory_sync as far as its caller, network and
// parts are concerned. entries is nil while parts are missing.
func directoryRequest(v *view, c *invocation, r *protocol.DirectorySync) (n *network, in *incoming, entries []protocol.DirectoryEntry, e *protocol.Error) {
	if e := v.admin(c); e != nil {
		return nil, nil, nil, e
	}
	switch {
	case r.NetworkID == 0:
		return nil, nil, nil, protocol.Refusef(protocol.CodeInvalid, "network_id is required")
	case len(r.Entries) == 0:
		return nil, nil, nil, protocol.Refusef(protocol.CodeInvalid, "entries array is required")
	}
	n, ok := v.networks.records.Get(r.NetworkID)
	switch {
	case !ok:
		return nil, nil, nil, noSuchNetwork(r.NetworkID)
	case !n.enterprise:
		return nil, nil, nil, protocol.Refusef(protocol.CodeEnterpriseRequired, "directory sync requires enterprise network")
	}
	entries = r.Entries
	if r.Upload() == (protocol.UploadPart{}) {
		in = &incoming{whole: true}
	} else if in, e = v.uploads.receive(c, r.Upload(), directoryScope(r), string(appendEntries(nil, r.Entries))); e != nil {
		return nil, nil, nil, e
	} else if entries = nil; in.whole {
		v.uploads.eachPiece(in, func(data string) { entries = append(entries, readEntries(data)...) })
	}
	if e := checkRevision(r.IfRevision, n.revision, "network "+decimal(uint32(r.NetworkID))); e != nil {
		return nil, nil, nil, e
	}
	return n, in, entries, nil
}

// noSuchNetwork is how the directory commands say it.
func noSuchNetwork(id uint16) *protocol.Error {
	return protocol.Refusef(protocol.CodeNotFound, "network %d not found", id)
}

// directoryScope tells uploads for different requests apart.
func directoryScope(r *protocol.DirectorySync) string {
	return string(append(table.AppendKey16([]byte("directory_sync "), r.NetworkID), table.BoolByte(r.RemoveUnlisted)))
}

func appendEntries(dst []byte, entries []protocol.DirectoryEntry) []byte {
	for i := range entries {
		e := &entries[i]
		dst = table.AppendString(table.AppendString(dst, e.ExternalID), e.Role)
		dst = table.AppendString(append(dst, table.BoolByte(e.Disabled)), e.DisplayName)
		dst = table.AppendString(table.AppendString(dst, e.Keys.Match), e.Keys.Near)
	}
	return dst
}

func readEntries(data string) (entries []protocol.DirectoryEntry) {
	d := table.NewDecoder([]byte(data))
	for !d.Failed() && d.Left() > 0 {
		entries = append(entries, protocol.DirectoryEntry{ExternalID: d.Text(), Role: d.Text(), Disabled: d.Bool(), DisplayName: d.Text(),
			IDFacts: protocol.IDFacts{Keys: protocol.IDKeys{Match: d.Text(), Near: d.Text()}}})
	}
	return entries
}

// decideDirectorySync follows docs/protocol/identity.md#directory_sync, in one step and
// with the owner protected; see docs/networks.md, "Directories".
func decideDirectorySync(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.DirectorySync)
	n, in, entries, e := directoryRequest(v, c, r)
	if e != nil {
		return nil, e
	}
	if !in.whole {
		return func(x *txn) any { return stageUpload(x, in, directorySyncOK) }, nil
	}
	p := planSync(v, r.NetworkID, n, entries, r.RemoveUnlisted)
	if why := p.mustConfirm(); why != "" && (r.ConfirmRemovals == nil || *r.ConfirmRemovals != uint64(p.reply.Disabled)) {
		return nil, protocol.Refusef(protocol.CodeConflict, "%s would remove %d of the %d members of network %d; if that is meant, send it again with confirm_removals %d",
			why, p.reply.Disabled, p.size, r.NetworkID, p.reply.Disabled)
	}
	return func(x *txn) any {
		if in.key != "" {
			forgetUpload(x, in.key)
		}
		return carryOut(x, p)
	}, nil
}

// planDirectorySync is the dry run. Of a plan too long for one reply the same
// request with the cursor gets the next page.
func planDirectorySync(v *view, c *invocation) (any, *protocol.Error) {
	r := c.body.(*protocol.DirectorySync)
	n, in, entries, e := directoryRequest(v, c, r)
	if e != nil {
		return nil, e
	}
	if !in.whole {
		return nil, protocol.Refusef(protocol.CodeInvalid, "a dry run of an upload is asked for with its last part: send the other parts first, without dry_run")
	}
	p := planSync(v, r.NetworkID, n, entries, r.RemoveUnlisted)
	if why := p.mustConfirm(); why != "" {
		p.warn("%s would remove %d of %d members: to carry it out takes confirm_removals %d", why, p.reply.Disabled, p.size, p.reply.Disabled)
	}
	next, e := readCursor(c.cursor, cursorPlan, r.NetworkID)
	if e != nil {
		return nil, e
	}
	pages := paginate(p.actions, p.warnings)
	if next >= uint64(len(pages)) {
		return nil, protocol.Refusef(protocol.CodeInvalid, "invalid cursor: the plan has become shorter; ask for it from the start")
	}
	reply := p.reply
	reply.DryRun, reply.Revision = true, n.revision
	reply.Actions, reply.Warnings = pages[next].actions, pages[next].warnings
	if next++; next < uint64(len(pages)) {
		reply.NextCursor = makeCursor(cursorPlan, r.NetworkID, next)
	}
	return &reply, nil
}

// readDirectoryStatus follows docs/protocol/identity.md#directory_status; members that
// are silent count like the others.
func readDirectoryStatus(v *view, c *invocation) (any, *protocol.Error) {
	if e := v.admin(c); e != nil {
		return nil, e
	}
	id := c.body.(*protocol.NetworkRequest).NetworkID
	if id == 0 {
		return nil, protocol.Refusef(protocol.CodeInvalid, "network_id is required")
	}
	n, ok := v.networks.records.Get(id)
	if !ok {
		return nil, noSuchNetwork(id)
	}
	reply := &protocol.DirectoryStatusReply{Type: "directory_status_ok", NetworkID: id, Enterprise: n.enterprise, Revision: n.revision}
	v.networks.eachMember(id, func(member uint32, _ membership) bool {
		reply.Total++
		if m, _ := v.nodes.records.Get(member); m != nil && m.externalID != "" {
			reply.Mapped++
		}
		return true
	})
	reply.Unmapped = reply.Total - reply.Mapped
	v.networks.eachPreAssign(id, func(string, *preAssign) bool {
		reply.PreAssignments++
		return true
	})
	if s := n.sync; s.at != 0 {
		reply.LastSync = utc(s.at)
		reply.LastResult = &protocol.DirectoryCounts{Disabled: s.disabled, Mapped: s.mapped, Unmapped: s.unmapped, Updated: s.updated}
	}
	if c.cursor == "" {
		return reply, nil
	}
	return reply, v.uploads.readPage(c.cursor, id, reply)
}
