// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"encoding/json"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// networkDocs are what daemons read about a network and the registry only
// keeps: the rules of a managed network and an expression policy, as its text.
// Networks with neither have no record.
type networkDocs struct {
	rules *protocol.NetworkRules
	expr  string
}

func (n networkDocs) AppendTo(dst []byte, _ uint32) []byte {
	dst = append(dst, table.BoolByte(n.rules != nil))
	if r := n.rules; r != nil {
		for _, count := range []int64{r.Links, r.Prune, r.Fill} {
			dst = table.AppendVarint(dst, count)
		}
		for _, text := range []string{r.Cycle, r.PruneBy, r.FillHow, r.Grace} {
			dst = table.AppendString(dst, text)
		}
	}
	return table.AppendString(dst, n.expr)
}

func readNetworkDocs(d *table.Decoder, _ uint32) (n networkDocs) {
	if d.Bool() {
		n.rules = &protocol.NetworkRules{Links: d.Varint(), Prune: d.Varint(), Fill: d.Varint(),
			Cycle: d.Text(), PruneBy: d.Text(), FillHow: d.Text(), Grace: d.Text()}
	}
	n.expr = d.Text()
	if n.rules == nil && n.expr == "" {
		d.Fail()
	}
	return n
}

// setExprPolicy gives a network an expression policy, "" for none, with its event.
func setExprPolicy(x *txn, net uint16, text string) {
	docs, _ := x.networks.docs.Get(net)
	docs.expr = text
	x.setDocs(net, docs)
	x.reconfigure(net, func(*network) {})
	if text == "" {
		x.begin(protocol.EventExprPolicyCleared).network(net).end()
		return
	}
	x.begin(protocol.EventExprPolicySet).network(net).num("size", uint64(len(text))).end()
}

func decideSetExprPolicy(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetExprPolicy)
	if _, e := v.roleGate(c, r.NodeID, r.NetworkID); e != nil {
		return nil, e
	}
	if e := r.Check(); e != nil {
		return nil, afterRole(e)
	}
	text := *r.ExprPolicy
	reply := &protocol.SetExprPolicyReply{Type: "set_expr_policy_ok", NetworkID: r.NetworkID, Cleared: text == ""}
	if docs, _ := v.networks.docs.Get(r.NetworkID); docs.expr == text {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		setExprPolicy(x, r.NetworkID, text)
		return reply
	}, nil
}

func readExprPolicy(v *view, c *invocation) (any, *protocol.Error) {
	id := c.body.(*protocol.NetworkRequest).NetworkID
	if _, ok := v.networks.records.Get(id); !ok {
		return nil, noNetwork(id)
	}
	docs, _ := v.networks.docs.Get(id)
	return &protocol.GetExprPolicyReply{Type: "get_expr_policy_ok", NetworkID: id, ExprPolicy: protocol.ExprPolicyJSON(docs.expr)}, nil
}

// NetworkDocuments are the rules and the expression policy of a network, nil
// for what it has not.
func (r *Root) NetworkDocuments(net uint16) (rules *protocol.NetworkRules, expr json.RawMessage) {
	docs, _ := r.networks.docs.Get(net)
	return docs.rules, protocol.ExprPolicyJSON(docs.expr)
}
