// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"encoding/json"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// apply decides one command and carries it out.
func (x *txn) apply(c *logged) Result {
	x.by.actor, x.by.source = c.Actor, c.Source
	x.by.system = c.Code >= InternalBase
	var b *binding
	if !x.by.system {
		b = bound(c.Code)
	}
	minted := c.RequestID == "" && c.Session != (SessionID{}) && (x.by.system || !b.row.Soft)
	if minted {
		if r, known := x.settled(c); known {
			return r
		}
	}
	var r Result
	var decided bool
	if x.by.system {
		r, decided = x.applyInternal(c)
	} else {
		r, decided = x.applyRow(b, c)
	}
	if minted && decided {
		x.rememberMinted(c, &r)
	}
	return r
}

// applyRow applies a client's command. decided is false when the command was
// turned away before a decision that has to be remembered.
func (x *txn) applyRow(b *binding, c *logged) (r Result, decided bool) {
	row := b.row
	body, e := x.readBody(row, c)
	if e != nil {
		return x.refuse(e), false
	}
	key, by := "", bearer{}
	id, ts, signed := x.requestID(c.RequestID)
	if id != "" && !row.Soft {
		key = resultKey(row, body, c.Actor, c.Source, id)
		if old, e := x.remembered(key, c.Actor, c.Hash); e != nil {
			return x.refuse(e), false
		} else if old != nil {
			return old.replay(), false
		}
		by = bearerOf(body, c.Actor, c.Source)
		remember, e := x.once.roomFor(id, body, &by)
		if e != nil {
			return x.refuse(e), false
		}
		if !remember {
			key = ""
		}
	}
	if signed {
		if e := x.freshSignature(ts); e != nil {
			return x.refuse(e), false
		}
	}
	x.call = invocation{row: row, body: body, actor: c.Actor, source: c.Source}
	if e := x.audited(&x.call); e != nil {
		return x.refuse(e), false
	}
	var signer *node
	if signed || key != "" {
		if signer = x.nodes.signer(c.Actor); signer == nil && row.Name == "deregister" {
			signer = x.nodes.gone(c.Actor)
		}
	}
	if e := x.active(row); e != nil {
		r = x.refuse(e)
	} else {
		r = x.run(b.decide, &x.call)
	}
	if signed && r.Err == nil {
		x.proven(signer, body)
	}
	if key != "" {
		x.rememberResult(key, c.Hash, &r, x.resultExpiry(ts, signed), signer, &by)
	}
	return r, true
}

// signer finds the node that signed a command with the key it has now.
func (st *nodeStore) signer(a Actor) *node {
	if n, ok := st.records.Get(a.Node); ok && n.reachable() && n.keyGen == a.KeyGen && !n.has(flagKeyless) {
		return n
	}
	return nil
}

// gone finds the node that signed its deregistration and is not there any more.
func (st *nodeStore) gone(a Actor) *node {
	if n, ok := st.records.Get(a.Node); ok && n.state == stateDeregistered && n.keyGen == a.KeyGen && !n.has(flagKeyless) {
		return n
	}
	return nil
}

// proven notes that a node has acted by a signed request: its key will not be
// registered unsigned any more. An administrator who clears just that is obeyed.
func (x *txn) proven(signer *node, body protocol.Body) {
	if signer == nil {
		return
	}
	if r, ok := body.(*protocol.SetSignedRegister); ok && !r.Required && x.adminToken(&x.call) {
		return
	}
	if n, _ := x.nodes.records.Get(signer.id); !n.has(flagProven) {
		x.edit(n, func(n *node) { n.set(flagProven, true) })
	}
}

func (x *txn) run(decide decision, c *invocation) Result {
	effect, e := decide(&x.view, c)
	if e != nil {
		if effect != nil {
			effect(x)
		}
		return x.refuse(e)
	}
	return Result{Index: x.index, Reply: effect(x)}
}

func (x *txn) refuse(e *protocol.Error) Result { return Result{Index: x.index, Err: e} }

// readBody decodes and validates a command's body. What is wrong with it does
// not depend on state, so such a refusal is not remembered either.
func (x *txn) readBody(row *protocol.Command, c *logged) (protocol.Body, *protocol.Error) {
	if c.own {
		x.beat.NodeID = c.Actor.Node
		return &x.beat, nil
	}
	body := row.New()
	if err := json.Unmarshal(c.Body, body); err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "invalid body of %s: it does not decode", row.Name)
	}
	if e := protocol.Check(row, body); e != nil {
		return nil, e
	}
	return body, nil
}
