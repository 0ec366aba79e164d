// SPDX-License-Identifier: Apache-2.0

//go:build nextver

package fsm

import (
	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// LevelMax is the newest feature level the synthetic next version understands.
const LevelMax = protocol.LevelCounts + 1

// nextFields are the fields that the next level adds to the node record.
type nextFields struct{ motto string }

func (f nextFields) AppendTo(dst []byte, level uint32) []byte {
	if level < LevelMax {
		return dst
	}
	return table.AppendString(dst, f.motto)
}

func (f *nextFields) read(d *table.Decoder, level uint32) {
	if level >= LevelMax {
		f.motto = d.Text()
	}
}

func (f *nextFields) trim(level uint32) {
	if level < LevelMax {
		*f = nextFields{}
	}
}

func (f nextFields) lookup() protocol.LookupNext { return protocol.LookupNext{Motto: f.motto} }

// kindMotto is the snapshot section that the next level adds: when a node's motto was set.
const kindMotto table.Kind = 200

var mottoTable = declaration[uint32, millis]{
	schema: table.Schema[uint32, millis]{Kind: kindMotto, AppendKey: table.AppendKey32, ReadKey: table.ReadKey32, Read: readMillis},
	in:     func(v *view) *table.Table[uint32, millis] { return &v.next.mottos },
}

type nextParts struct{ mottos table.Table[uint32, millis] }

var nextTables = []declared{&mottoTable}

func withNext(h map[string]handler) map[string]handler {
	h["set_motto"] = handler{decide: decideSetMotto}
	return h
}

func decideSetMotto(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetMotto)
	n := v.nodes.live(r.NodeID)
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
			mottoTable.drop(x, n.id)
		} else {
			mottoTable.put(x, n.id, millis(x.meta.now))
		}
		x.begin(protocol.EventMottoChanged).node(n.id).end()
		return &protocol.SetMottoReply{Type: "set_motto_ok", NodeID: n.id, Motto: r.Motto}
	}, nil
}
