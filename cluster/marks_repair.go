// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// repairRequest tells a quarantined member to begin its log anew.
type repairRequest struct {
	// Since is where its next log begins, as the other members know.
	Since uint64 `json:"since"`
	// Members are the cluster's, by id: without a log the member knows none.
	Members map[string]string `json:"members"`
}

// repair gives a quarantined member the state of the others, on the leader: it
// loses its vote, its log is put aside, and it is caught up and promoted as a new
// member is. Asked for again, it goes on where it stopped.
func (r *roster) repair(ctx context.Context, req adminRequest) *protocol.Error {
	r.changes.Lock()
	defer r.changes.Unlock()
	s, e := r.named(req.ID)
	if e != nil {
		return e
	}
	st, err := r.status.ask(ctx, req.ID)
	switch {
	case err != nil:
		return protocol.Errorf(protocol.CodeConflict, "member %s does not answer (%v): start it, and repair it when it says that it is quarantined", s.ID, err)
	case st.Quarantined == "": // it never was, or has been repaired
		return nil
	}
	if e := r.demote(ctx, s); e != nil {
		return e
	}
	since := r.marks.anew(req.ID, r.raft.LastIndex())
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var reply struct{}
	err = callJSON(ctx, r.peers, req.ID, rpcRepair, repairRequest{since, r.addresses()}, &reply)
	switch {
	case unknownRequest(err):
		return protocol.Errorf(protocol.CodeConflict, "the version of member %s (%s) cannot be repaired: upgrade it, or remove it and let it join again with an empty data directory", s.ID, st.Version)
	case err != nil:
		return protocol.Unknownf(protocol.CodeOutcomeUnknown, "member %s may or may not have heard of the repair: %v; repeat the command", s.ID, err)
	}
	r.log.Info("a quarantined member begins its log anew", "member", req.ID, "reason", st.Quarantined)
	return nil
}

// demote takes a member's vote away: without its log it does not know any more
// what it has acknowledged.
func (r *roster) demote(ctx context.Context, s raft.Server) *protocol.Error {
	if s.Suffrage != raft.Voter {
		return nil
	}
	if e := r.removable(ctx, s, false); e != nil {
		return e
	}
	fault.Hit(fault.MembershipBefore)
	return changeOutcome(r.raft.DemoteVoter(s.ID, 0, changeTimeout).Error())
}

// repairs begins this member's log anew when the leader says so.
type repairs struct {
	*self
	dir    *dataDir
	health interface {
		serving
		fatal(code int, reason string)
	}
}

// handleRepair notes what is to be done, and ends the process: raft cannot
// exchange its log while it runs.
func (r *repairs) handleRepair(from string, payload []byte) ([]byte, *protocol.Error) {
	var req repairRequest
	if err := json.Unmarshal(payload, &req); err != nil || req.Since == 0 {
		return nil, protocol.Errorf(protocol.CodeInvalid, "repair request cannot be read")
	}
	if _, yes := r.health.Quarantined(); !yes {
		return nil, protocol.Errorf(protocol.CodeConflict, "member %s is not quarantined", r.id)
	}
	file, err := r.dir.member()
	if err == nil {
		delete(req.Members, r.id)
		file.Repair, file.Seeds = req.Since, req.Members
		err = r.dir.writeMember(file)
	}
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, "the repair cannot be noted: %v", err)
	}
	r.run(func() { // the caller gets its answer first
		rest(context.Background(), r.dead, 100*time.Millisecond)
		r.health.fatal(ExitStalled, fmt.Sprintf("member %s is repaired, as member %s was told: start it again, and it copies log and state from the others", r.id, from))
	})
	return []byte("{}"), nil
}

// beginAnew puts log and snapshots aside when the leader has said so. It may be
// cut off anywhere: what was moved is not there any more.
func (d *dataDir) beginAnew(file *memberFile) error {
	if file.Repair == 0 {
		return nil
	}
	aside := &dataDir{path: d.file(fmt.Sprintf("before-repair-%d", file.Repair))}
	if err := os.MkdirAll(aside.path, 0o700); err != nil {
		return err
	}
	for _, name := range []string{dirRaft, dirSnapshots} {
		if err := os.Rename(d.file(name), aside.file(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := errors.Join(syncDir(aside.path), d.remove(fileBootstrap)); err != nil {
		return err
	}
	file.Repaired, file.Repair = file.Repair, 0
	return d.writeMember(*file)
}
