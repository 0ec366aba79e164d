// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Refounding makes the state of a lost cluster the first state of another
// one. It is carried out offline, on a state that no running member has, and
// is in no log: members get the result as a snapshot.
type Refounding struct {
	// ClusterID of the new cluster; the id that the state has already keeps it
	// the same cluster, whose members are lost.
	ClusterID string
	// Time is the wall clock, Unix milliseconds. Log time does not go back to it.
	Time int64
	// Term is the raft term that the state is filed under, not below its own.
	Term uint64
	// Action is the audit event that says what has been done,
	// [protocol.EventClusterRestored] or [protocol.EventClusterRecovered].
	Action string
	// Sealed replace secrets by name, as the key of a new cluster CA.
	Sealed []PutSealed
	// Token is the join token of the next member, if any.
	Token *PutToken
	// HoldSinks keeps the events of all sinks but the structured log until
	// they are configured again.
	HoldSinks bool
}

// refoundStep is what indexes move on to a multiple of: none that a client has
// seen of the lost cluster, of entries that are in no backup, is ahead of the
// new one, so that nobody waits for it. There are enough of them below 2^53.
const refoundStep = 100_000_000_000

// Refound carries out a refounding: the records of members and their join
// tokens go, everything else stays. The state's index moves on to the next
// multiple of 10^11. After an error the machine is of no more use.
func (m *Machine) Refound(b *Refounding) error {
	old := m.Root()
	switch {
	case m.halted != nil:
		return m.halted
	case old.ClusterID() == "":
		return errors.New("the state is that of no cluster")
	case b.ClusterID == "" || len(b.ClusterID) > 64:
		return errors.New("a cluster id of 1 to 64 bytes is wanted")
	case b.Term < old.Term():
		return fmt.Errorf("term %d is older than that of the state, %d", b.Term, old.Term())
	}
	x, digest := m.x, old.Digest()
	x.start((old.Index()/refoundStep+1)*refoundStep, b.Term, b.Time, Seed{})
	x.by.actor, x.by.source, x.by.system = Actor{}, "", true
	x.begin(b.Action).str("from_cluster", old.ClusterID()).num("from_index", old.Index()).str("from_digest", hex.EncodeToString(digest[:])).end()
	x.meta.clusterID = b.ClusterID
	x.dropClusterMembers(old)
	for i := range b.Sealed {
		if e := x.carryOut(decidePutSealed(&x.view, &b.Sealed[i])); e != nil {
			return e
		}
	}
	if b.Token != nil {
		if e := x.carryOut(decidePutToken(&x.view, b.Token)); e != nil {
			return e
		}
	}
	if b.HoldSinks {
		x.holdSinks()
	}
	x.finish(1)
	m.publish(x.index, x.term)
	return nil
}

// carryOut does what was decided, or says why not. A nil *protocol.Error must
// not become an error.
func (x *txn) carryOut(effect effect, e *protocol.Error) error {
	if e != nil {
		return e
	}
	effect(x)
	return nil
}

// dropClusterMembers forgets all members and what would let one join.
func (x *txn) dropClusterMembers(old *Root) {
	for _, s := range old.Members() {
		dropClusterMember(x, s.ID)
	}
	for _, t := range old.Tokens(TokenJoin) {
		dropToken(x, tokenKey(TokenJoin, t.Name))
	}
}

// holdSinks stops all sinks but the structured log.
func (x *txn) holdSinks() {
	var names []string
	x.audit.sinks.Scan(func(name string, s *sink) bool {
		if s.Kind != protocol.SinkLog {
			names = append(names, name)
		}
		return true
	})
	for _, name := range names {
		s, _ := x.audit.sinks.Get(name)
		cur, _ := x.audit.cursors.Get(name)
		held := *cur
		held.problem, held.stalled, held.tries, held.next = Held(s.gen), x.meta.now, 0, 0
		putCursor(x, name, &held)
	}
}

// Held is the problem of a sink that gets nothing until it is configured
// again. The generation of the configuration is part of it, so that the next
// configuration is another.
func Held(gen uint64) string {
	return fmt.Sprintf("held back since the registry was restored from a backup (configuration %d): configure the sink again to let it go on", gen)
}

// Held reports whether a sink gets nothing until it is configured again.
func (s Sink) Held() bool { return s.Problem == Held(s.Gen) }
