// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"encoding/json"
	"fmt"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// kindHandler applies one internal kind: it decodes the body and decides.
type kindHandler func(v *view, body []byte) (effect, *protocol.Error)

// bind makes a handler of a decision about a typed body.
func bind[T any](name string, decide func(*view, *T) (effect, *protocol.Error)) kindHandler {
	return func(v *view, body []byte) (effect, *protocol.Error) {
		b := new(T)
		if len(body) > 0 {
			if err := json.Unmarshal(body, b); err != nil {
				return nil, protocol.Errorf(protocol.CodeInvalid, "invalid body of %s: it does not decode", name)
			}
		}
		return decide(v, b)
	}
}

// kinds holds the handlers of the internal kinds, by code above InternalBase.
var kinds = [...]kindHandler{
	KindTermStart - InternalBase:    bind("term_start", decideTermStart),
	KindTick - InternalBase:         bind("tick", decideTick),
	KindClusterInit - InternalBase:  bind("cluster_init", decideClusterInit),
	KindMemberHello - InternalBase:  bind("member_hello", decideMemberHello),
	KindMemberForget - InternalBase: bind("member_forget", decideMemberForget),
	KindRaiseLevel - InternalBase:   bind("raise_level", decideRaiseLevel),
	KindPutToken - InternalBase:     bind("put_token", decidePutToken),
	KindSpendToken - InternalBase:   bind("spend_token", decideSpendToken),
	KindPutSealed - InternalBase:    bind("put_sealed", decidePutSealed),
	KindSweep - InternalBase:        bind("sweep", decideSweep),
	KindCheckpoint - InternalBase:   bind("checkpoint", decideCheckpoint),
	KindActivateKey - InternalBase:  bind("activate_key", decideActivateKey),
	KindAuditNote - InternalBase:    bind("audit_note", decideAuditNote),
	KindSinkProgress - InternalBase: bind("sink_progress", decideSinkProgress),
	KindResealSink - InternalBase:   bind("reseal_sink", decideResealSink),
	KindPutJWKS - InternalBase:      bind("put_jwks", decidePutJWKS),

	KindCountRequests - InternalBase: bind("count_requests", decideCountRequests),

	KindLeadershipTransferred - InternalBase: bind("leadership_transferred", decideLeadershipTransferred),
	KindMemberPromoted - InternalBase:        bind("member_promoted", decideMemberPromoted),
}

func internalKind(code protocol.Code) kindHandler {
	if i := int(code - InternalBase); i < len(kinds) {
		return kinds[i]
	}
	return nil
}

// applyInternal applies a command that only members propose.
func (x *txn) applyInternal(c *logged) (r Result, decided bool) {
	effect, e := internalKind(c.Code)(&x.view, c.Body)
	if e != nil {
		return x.refuse(e), e.Stateful
	}
	return Result{Index: x.index, Reply: effect(x)}, true
}

func staleTerm(term, newest uint64) *protocol.Error {
	return protocol.Refusef(protocol.CodeStaleTerm, "term %d is over: term %d has begun", term, newest)
}

// fenced refuses what a leader of an older term proposed.
func (v *view) fenced(term uint64) *protocol.Error {
	if term < v.meta.leaderTerm {
		return staleTerm(term, v.meta.leaderTerm)
	}
	return nil
}

func decideTermStart(v *view, b *TermStart) (effect, *protocol.Error) {
	if e := v.fenced(b.Term); e != nil {
		return nil, e
	}
	return func(x *txn) any {
		x.meta.leaderTerm, x.meta.grace = b.Term, x.meta.now
		return ok("term_start")
	}, nil
}

func decideTick(*view, *struct{}) (effect, *protocol.Error) {
	return func(*txn) any { return ok("tick") }, nil
}

func decideCheckpoint(*view, *struct{}) (effect, *protocol.Error) {
	return func(x *txn) any {
		x.checkpoint = true
		return ok("checkpoint")
	}, nil
}

// decideClusterInit makes an empty state a cluster's: its id, its feature
// level, the first keyring version and the backbone.
func decideClusterInit(v *view, b *ClusterInit) (effect, *protocol.Error) {
	switch {
	case v.meta.clusterID != "":
		return nil, protocol.Refusef(protocol.CodeAlreadyExists, "the cluster is already initialised")
	case b.ClusterID == "" || len(b.ClusterID) > 64 || b.Level == 0:
		return nil, protocol.Errorf(protocol.CodeInvalid, "invalid cluster_init: want a cluster id of at most 64 bytes and a level above 0")
	}
	return func(x *txn) any {
		if b.Level > LevelMax {
			x.halt = unknownLevel(b.Level)
			return ok("cluster_init")
		}
		x.meta.clusterID, x.meta.level, x.meta.activeKey, x.meta.began = b.ClusterID, b.Level, 1, x.meta.now
		x.setNetwork(0, &network{name: "backbone", rule: ruleOpen, created: x.meta.now})
		startSinks(x)
		return ok("cluster_init")
	}, nil
}

func unknownLevel(level uint32) string {
	return fmt.Sprintf("sets feature level %d and this version knows levels up to %d; upgrade this member", level, LevelMax)
}

// decideRaiseLevel raises the feature level by one. Records may be encoded
// differently from then on, so the digest is computed again from all records.
func decideRaiseLevel(v *view, b *RaiseLevel) (effect, *protocol.Error) {
	if e := v.fenced(b.Term); e != nil {
		return nil, e
	}
	if b.From != v.meta.level || b.To != b.From+1 {
		return nil, protocol.Refusef(protocol.CodeConflict, "cannot raise the feature level from %d to %d: it is at %d", b.From, b.To, v.meta.level)
	}
	if v.cluster.members.Len() == 0 {
		return nil, protocol.Refusef(protocol.CodeConflict, "cannot raise the feature level: no member has said what it supports")
	}
	var lacking string
	v.cluster.members.Scan(func(id string, s *clusterMember) bool {
		if s.LevelMin > b.To || s.LevelMax < b.To {
			lacking = id
		}
		return lacking == ""
	})
	if lacking != "" {
		return nil, protocol.Refusef(protocol.CodeConflict, "cannot raise the feature level to %d: member %s does not support it; upgrade it first", b.To, lacking)
	}
	return func(x *txn) any {
		if b.To > LevelMax {
			x.halt = unknownLevel(b.To)
			return ok("raise_level")
		}
		x.meta.level = b.To
		x.w.Redigest(x.stored(), &x.metaHash)
		x.begin(protocol.EventFeatureLevelRaised).num("from", uint64(b.From)).num("to", uint64(b.To)).end()
		return ok("raise_level")
	}, nil
}

// maxNotes and maxNoteBytes bound one audit note.
const (
	maxNotes     = 256
	maxNoteBytes = 128
)

func decideAuditNote(v *view, b *AuditNote) (effect, *protocol.Error) {
	if e := v.fenced(b.Term); e != nil {
		return nil, e
	}
	if len(b.Notes) == 0 || len(b.Notes) > maxNotes {
		return nil, protocol.Errorf(protocol.CodeInvalid, "invalid audit_note: want 1 to %d notes", maxNotes)
	}
	names := sortedKeys(b.Notes)
	for _, name := range names {
		if len(name) > maxNoteBytes {
			return nil, protocol.Errorf(protocol.CodeInvalid, "invalid audit_note: a name is longer than %d bytes", maxNoteBytes)
		}
	}
	return func(x *txn) any {
		w := x.begin(protocol.EventAuditNote)
		for _, name := range names {
			w.num(name, b.Notes[name])
		}
		w.end()
		return ok("audit_note")
	}, nil
}

// ok is the reply of internal kinds that say nothing else.
func ok(name string) any { return protocol.Rendered(`{"type":"` + name + `_ok"}`) }
