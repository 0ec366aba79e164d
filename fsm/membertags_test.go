// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"reflect"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func tagMember(net uint16, id uint32, tags ...string) *protocol.SetMemberTags {
	return &protocol.SetMemberTags{NetworkID: net, TargetNodeID: id, Tags: tags}
}

// tagsOf are the tags of a member, as get_member_tags and list_nodes agree on them.
func (w *world) tagsOf(net uint16, id uint32) []string {
	w.t.Helper()
	tags := w.do("get_member_tags", &protocol.GetMemberTags{NetworkID: net, TargetNodeID: id}, nil).(*protocol.GetMemberTagsReply).Tags
	for _, n := range w.do("list_nodes", &protocol.ListNodes{NetworkID: net}, nil).(*protocol.ListNodesReply).Nodes {
		if n.NodeID == id && !(len(tags) == 0 && n.MemberTags == nil) && !reflect.DeepEqual(n.MemberTags, tags) {
			w.t.Errorf("list_nodes shows the tags %v of node %d, get_member_tags %v", n.MemberTags, id, tags)
		}
	}
	return tags
}

func TestPoliciesSeeTheTagsOfMembers(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	net := w.network("lab", a, "open", false)
	w.join(net, b)
	if got := w.do("set_member_tags", tagMember(net, b, "gpu", "eu-west", "gpu"), admin).(*protocol.SetMemberTagsReply); !reflect.DeepEqual(got.Tags, []string{"gpu", "eu-west", "gpu"}) {
		t.Errorf("reply %+v", got)
	}
	if got := w.lastEvent(protocol.EventMemberTagsChanged); got != "token:root network_id=1 target_node=2 tags=gpu eu-west gpu" {
		t.Errorf("event %q", got)
	}
	w.tagsOf(net, b)
	all := w.do("get_member_tags", &protocol.GetMemberTags{NetworkID: net}, nil).(*protocol.GetMemberTagsReply)
	if !reflect.DeepEqual(all.Members, map[string][]string{"1": {}, "2": {"gpu", "eu-west", "gpu"}}) || all.Tags != nil {
		t.Errorf("all: %+v", all)
	}
	w.goOffline(b)
	if got := w.tagsOf(net, b); len(got) != 3 {
		t.Errorf("an offline member has %v", got)
	}
	if doc := w.m.Root().ReplicationDocument().(*ReplicationDoc); !reflect.DeepEqual(doc.Networks["1"].MemberTags, map[string][]string{"2": {"gpu", "eu-west", "gpu"}}) {
		t.Errorf("the document has %v", doc.Networks["1"].MemberTags)
	}
	w.do("set_member_tags", tagMember(net, b), admin)
	if got := w.tagsOf(net, b); len(got) != 0 || got == nil {
		t.Errorf("cleared: %#v", got)
	}
	w.refused("get_member_tags", &protocol.GetMemberTags{NetworkID: 9}, nil, protocol.CodeNotFound, "network 9: network not found")
	if got := w.tagsOf(net, 77); got == nil || len(got) != 0 {
		t.Errorf("of a stranger: %#v", got)
	}
}

func TestMemberTagsAreChecked(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	net := w.network("lab", a, "open", true)
	for text, tags := range map[string][]string{
		"too many member tags (max 10)":                                 make([]string, 11),
		"empty tag not allowed":                                         {"a", ""},
		`tag "GPU" must be lowercase alphanumeric with hyphens`:         {"GPU"},
		`tag "#gpu" must be lowercase alphanumeric with hyphens`:        {"#gpu"},
		`tag "a-" must be lowercase alphanumeric with hyphens`:          {"a-"},
		`tag "` + strings.Repeat("a", 33) + `" too long (max 32 chars)`: {strings.Repeat("a", 33)},
	} {
		w.refused("set_member_tags", tagMember(net, a, tags...), admin, protocol.CodeInvalid, text)
	}
	w.refused("set_member_tags", tagMember(9, a), admin, protocol.CodeNotFound, "network 9: network not found")
	w.refused("set_member_tags", tagMember(net, 77), admin, protocol.CodeNotFound, "node 77 is not a member of network 1")
	w.refused("set_member_tags", tagMember(0, a), admin, protocol.CodeNotFound, "node 1 is not a member of network 0")
}

// Tags decide what a policy lets a node do, so they must not wait for it to come back.
func TestMemberTagsEndWithTheMembership(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	net := w.network("lab", a, "open", true)
	for name, leave := range map[string]func(){
		"left":         func() { w.do("leave_network", &protocol.LeaveNetwork{NodeID: b, NetworkID: net}, as(b)) },
		"kicked":       func() { w.do("kick_member", &protocol.KickMember{NodeID: a, NetworkID: net, TargetNodeID: b}, as(a)) },
		"deregistered": func() { w.do("deregister", &protocol.NodeRequest{NodeID: b}, as(b)); w.register(2) },
	} {
		w.join(net, b)
		w.do("set_member_tags", tagMember(net, b, "gpu"), admin)
		leave()
		w.join(net, b)
		if got := w.tagsOf(net, b); len(got) != 0 {
			t.Errorf("%s and joined again: %v", name, got)
		}
		leave()
	}
	w.join(net, b)
	w.do("set_member_tags", tagMember(net, b, "gpu"), admin)
	w.do("delete_network", &protocol.DeleteNetwork{NetworkID: net}, admin)
	if n := w.m.Root().networks.tags.Len(); n != 0 {
		t.Errorf("%d members of a deleted network have tags", n)
	}
}
