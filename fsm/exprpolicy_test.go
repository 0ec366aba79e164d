// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"reflect"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

const exprDoc = "{\n \"version\":1, \"rules\":[{\"name\":\"a\",\"match\":\"port < 80\"}]}"

func setExpr(net uint16, doc string) *protocol.SetExprPolicy {
	return &protocol.SetExprPolicy{NetworkID: net, ExprPolicy: &doc}
}

func (w *world) exprOf(net uint16) string {
	w.t.Helper()
	listed := false
	for _, n := range w.do("list_networks", &protocol.ListNetworks{}, nil).(*protocol.ListNetworksReply).Networks {
		listed = listed || n.ID == net && n.HasExprPolicy
	}
	got := string(w.do("get_expr_policy", &protocol.NetworkRequest{NetworkID: net}, nil).(*protocol.GetExprPolicyReply).ExprPolicy)
	if listed != (got != "") {
		w.t.Errorf("list_networks says has_expr_policy: %t, and it is %q", listed, got)
	}
	return got
}

func TestDaemonsFindTheExprPolicy(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	net := w.network("lab", a, "open", false)
	if got := w.exprOf(net); got != "" {
		t.Errorf("a new network has %s", got)
	}
	before := w.m.Root().networkRevision(net)
	w.do("set_expr_policy", setExpr(net, exprDoc), admin)
	if got, want := w.exprOf(net), `{"version":1,"rules":[{"name":"a","match":"port \u003c 80"}]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := w.lastEvent(protocol.EventExprPolicySet); got != "token:root network_id=1 size=59" {
		t.Errorf("event %q", got)
	}
	if w.m.Root().networkRevision(net) != before+1 {
		t.Error("the revision does not tell of it")
	}
	if doc := w.m.Root().ReplicationDocument().(*ReplicationDoc); string(doc.Networks["1"].ExprPolicy) != w.exprOf(net) {
		t.Errorf("the document has %s", doc.Networks["1"].ExprPolicy)
	}
	if r := w.do("set_expr_policy", setExpr(net, ""), admin).(*protocol.SetExprPolicyReply); !r.Cleared {
		t.Errorf("reply %+v", r)
	}
	if got := w.lastEvent(protocol.EventExprPolicyCleared); got != "token:root network_id=1" || w.exprOf(net) != "" {
		t.Errorf("event %q, policy %s", got, w.exprOf(net))
	}
	w.do("set_expr_policy", setExpr(0, exprDoc), admin) // the backbone may have one
	w.refused("set_expr_policy", setExpr(9, exprDoc), admin, protocol.CodeNotFound, "network 9: network not found")
	w.refused("get_expr_policy", &protocol.NetworkRequest{NetworkID: 9}, nil, protocol.CodeNotFound, "network 9: network not found")
}

func (r *Root) networkRevision(net uint16) uint64 {
	n, _ := r.networks.records.Get(net)
	return n.revision
}

// What the front door found wrong is told after the role, and what must not
// be stored is refused in the log too.
func TestUnusableExprPolicyChangesNothing(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	net := w.network("lab", a, "open", false)
	w.refused("set_expr_policy", &protocol.SetExprPolicy{NetworkID: net}, admin, protocol.CodeInvalid,
		`expr_policy field is required: a document as text or object, or "" to have none`)
	long := strings.Repeat("a", protocol.MaxExprPolicyBytes+1)
	w.refused("set_expr_policy", setExpr(net, long), admin, protocol.CodeTooLarge, "expr_policy: too long: 61441 bytes (max 61440)")
	w.refused("create_network", &protocol.CreateNetwork{NodeID: a, Name: "x", ExprPolicy: &long}, admin, protocol.CodeTooLarge, "expr_policy: too long: 61441 bytes (max 61440)")
	w.refused("provision_network", &protocol.ProvisionNetwork{Blueprint: &protocol.Blueprint{Name: "x", ExprPolicy: protocol.PolicyDocument(long)}}, admin,
		protocol.CodeInvalid, "invalid blueprint: expr_policy: too long: 61441 bytes (max 61440)")
	wrong := setExpr(net, exprDoc)
	wrong.SetProblem(protocol.Errorf(protocol.CodeInvalid, "expr_policy: no"))
	for by, code := range map[string]string{"nobody": protocol.CodeSignatureRequired, "admin": protocol.CodeInvalid} {
		c := w.call("set_expr_policy", wrong, map[string]who{"nobody": nobody, "admin": admin}[by])
		if e := w.m.Root().Check(c); e == nil || e.Code != code {
			t.Errorf("a wrong document of %s: %v", by, e)
		}
	}
	// A text that is no JSON cannot come through the front door; if it did, no reply breaks.
	w.do("set_expr_policy", setExpr(net, "nonsense"), admin)
	if r := w.do("get_expr_policy", &protocol.NetworkRequest{NetworkID: net}, nil).(*protocol.GetExprPolicyReply); r.ExprPolicy != nil {
		t.Errorf("shown: %s", r.ExprPolicy)
	}
}

func TestManagedNetworkKeepsItsRules(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	rules := &protocol.NetworkRules{Links: 8, Cycle: "1h", Prune: 2, PruneBy: "score", Fill: 2, FillHow: "random"}
	doc := exprDoc
	r := w.do("create_network", &protocol.CreateNetwork{NodeID: a, Name: "mesh", Rules: rules, ExprPolicy: &doc}, admin).(*protocol.CreateNetworkReply)
	if !r.Managed {
		t.Errorf("reply %+v", r)
	}
	if got := w.lastEvent(protocol.EventNetworkCreated); !strings.HasSuffix(got, " managed=true") {
		t.Errorf("event %q", got)
	}
	list := w.do("list_networks", &protocol.ListNetworks{}, nil).(*protocol.ListNetworksReply).Networks
	if n := list[1]; !n.Managed || !reflect.DeepEqual(n.Rules, rules) || list[0].Managed || list[0].Rules != nil {
		t.Errorf("listed %+v", list)
	}
	if w.exprOf(r.NetworkID) == "" || w.lastEvent(protocol.EventExprPolicySet) == "" {
		t.Error("the expression policy is lost")
	}
	w.do("set_expr_policy", setExpr(r.NetworkID, ""), admin)
	if got, _ := w.m.Root().NetworkDocuments(r.NetworkID); !reflect.DeepEqual(got, rules) {
		t.Errorf("rules after another change: %+v", got)
	}
	w.refused("create_network", &protocol.CreateNetwork{NodeID: a, Name: "bad", Rules: &protocol.NetworkRules{Grace: strings.Repeat("1", 65)}}, admin,
		protocol.CodeInvalid, "rules: too long: 65 bytes in one text (max 64)")
	w.do("delete_network", &protocol.DeleteNetwork{NetworkID: r.NetworkID}, admin)
	if n := w.m.Root().networks.docs.Len(); n != 0 {
		t.Errorf("%d deleted networks have documents", n)
	}
}

func TestBlueprintAppliesAnExprPolicy(t *testing.T) {
	w := newWorld(t)
	provision := func(doc protocol.PolicyDocument) *protocol.ProvisionNetworkReply {
		return w.do("provision_network", &protocol.ProvisionNetwork{Blueprint: &protocol.Blueprint{Name: "lab", ExprPolicy: doc}}, admin).(*protocol.ProvisionNetworkReply)
	}
	r := provision(`{"version":1}`)
	if !reflect.DeepEqual(r.Actions, []string{"created network 1 (lab)", "applied expr policy"}) || w.exprOf(1) != `{"version":1}` {
		t.Errorf("%+v, policy %s", r, w.exprOf(1))
	}
	if again := provision(`{"version":1}`); again.Revision != r.Revision {
		t.Errorf("the same again is revision %d, was %d", again.Revision, r.Revision)
	}
	provision("")
	if w.exprOf(1) != `{"version":1}` {
		t.Error("what a blueprint does not mention is gone")
	}
	status := w.do("get_provision_status", &protocol.GetProvisionStatus{Details: true}, admin).(*protocol.ProvisionStatusReply)
	if string(status.Networks[0].ExprPolicy) != `{"version":1}` {
		t.Errorf("status %+v", status.Networks[0])
	}
}
