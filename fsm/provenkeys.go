// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"crypto/sha256"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// A key that has proved itself is not believed unsigned any more, and being
// forgotten with its person does not change that: otherwise whoever knows the
// key could register it as a node of his own person. What is kept is a mark of
// the key alone. It says neither whose the key was nor which node had it.

const provenMarkDomain = "pilot registry proven key v1"

// provenMark is the same in one cluster and another one in each.
func (v *view) provenMark(key protocol.PublicKey) string {
	b := table.AppendString(table.AppendString(nil, provenMarkDomain), v.meta.clusterID)
	sum := sha256.Sum256(append(b, key[:]...))
	return string(sum[:])
}

// provenOnce reports whether a key that belongs to no node has once proved itself.
func (v *view) provenOnce(key protocol.PublicKey) bool {
	return v.nodes.provenKeys.Len() > 0 && v.nodes.provenKeys.Holds(v.provenMark(key))
}

// provable refuses a key for a node that it does not have yet, unless it proves
// itself or an administrator registers it.
func provable(v *view, c *invocation, key protocol.PublicKey, r *protocol.Register) *protocol.Error {
	if r.Proven || !v.provenOnce(key) || v.adminToken(c) {
		return nil
	}
	return protocol.Refusef(protocol.CodeSignatureRequired,
		"unsigned registration cannot modify a signature-verified key: this one has registered with a signature before, and its node was taken out. Sign the registration; if the node's program cannot, an administrator registers it with the admin token")
}

// freeKey refuses a new key for a node that is, or was, another's.
func freeKey(v *view, n *node, key protocol.PublicKey) *protocol.Error {
	holder, bound := v.nodes.byKey.Get(string(key[:]))
	if bound && holder == n.id || !bound && !v.provenOnce(key) {
		return nil
	}
	return protocol.Refusef(protocol.CodeAlreadyExists, "new_public_key already belongs to another node; use a fresh key")
}

func readProvenKey(d *table.Decoder) string {
	k := d.Text()
	if len(k) != sha256.Size {
		d.Fail()
	}
	return k
}
