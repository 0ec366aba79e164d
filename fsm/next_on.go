// SPDX-License-Identifier: Apache-2.0

//go:build nextver

package fsm

import "github.com/pilotregistry/pilotregistry/protocol"

// LevelMax is the newest feature level the synthetic next version understands.
const LevelMax uint32 = 2

// nextFields are the fields that level 2 adds to the node record.
type nextFields struct{ motto string }

func (f nextFields) appendTo(dst []byte, level uint32) []byte {
	if level < LevelMax {
		return dst
	}
	return appendString(dst, f.motto)
}

func (f *nextFields) read(d *decoder, level uint32) {
	if level >= LevelMax {
		f.motto = d.str()
	}
}

func (f *nextFields) trim(level uint32) {
	if level < LevelMax {
		*f = nextFields{}
	}
}

func (f nextFields) lookup() protocol.LookupNext { return protocol.LookupNext{Motto: f.motto} }

// kindMotto is the snapshot section that level 2 adds: when a node's motto was set.
const kindMotto kind = 200

var mottoSchema = schema[uint32, millis]{kindMotto, appendKey32, readKey32, readMillis}

type nextTables struct{ mottos table[uint32, millis] }

func newNextTables() nextTables { return nextTables{mottos: newTable(&mottoSchema)} }

func (t *nextTables) tables() []stored { return []stored{&t.mottos} }

func (t *nextTables) handOver(dst *nextTables) { t.mottos.handOver(&dst.mottos) }

func withNext(h map[string]handler) map[string]handler {
	h["set_motto"] = handler{decide: decideSetMotto}
	return h
}

func withNextLoaders(l map[kind]func(*txn, *decoder, uint32) bool) map[kind]func(*txn, *decoder, uint32) bool {
	l[kindMotto] = plain(func(x *txn) *table[uint32, millis] { return &x.next.mottos })
	return l
}

func decideSetMotto(v *view, c *call) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetMotto)
	n := v.live(r.NodeID)
	if n == nil {
		return nil, noNode(r.NodeID)
	}
	if e := v.signedOrAdmin(c, n); e != nil {
		return nil, e
	}
	if n.motto == r.Motto {
		return c.unchanged(&protocol.SetMottoReply{Type: "set_motto_ok", NodeID: n.id, Motto: r.Motto})
	}
	return func(x *txn) any {
		x.edit(n, func(n *node) { n.motto = r.Motto })
		if r.Motto == "" {
			x.next.mottos.drop(x, n.id)
		} else {
			x.next.mottos.put(x, n.id, millis(x.meta.now))
		}
		x.begin(protocol.EventMottoChanged).node(n.id).end()
		return &protocol.SetMottoReply{Type: "set_motto_ok", NodeID: n.id, Motto: r.Motto}
	}, nil
}
