// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// desk is a site whose administrator has logged in and acts on network 3.
type desk struct {
	*site
	cookie, csrf string
}

func newDesk(t *testing.T) *desk {
	s := newSite(t)
	s.replies["list_networks"] = &protocol.ListNetworksReply{Networks: []protocol.ListedNetwork{{ID: 3, Name: "prod-fleet", Members: 2, Enterprise: true}}}
	s.replies["list_nodes"] = &protocol.ListNodesReply{Nodes: []protocol.ListedNode{{NodeID: 1, Role: "owner"}, {NodeID: 7, Hostname: "alice", Role: "member"}}}
	s.replies["lookup"] = &protocol.LookupReply{NodeID: 7, Hostname: "alice"}
	s.replies["get_member_role"] = &protocol.GetMemberRoleReply{Role: "member"}
	s.replies["promote_member"] = &protocol.MemberRoleReply{Role: "admin"}
	s.replies["kick_member"] = &protocol.KickMemberReply{}
	s.replies["set_webhook"] = &protocol.SetWebhookReply{}
	s.replies["get_audit_log"] = &protocol.GetAuditLogReply{Entries: []protocol.AuditEntry{
		{Seq: 9, Index: 40, Action: protocol.EventMemberPromoted, Actor: "token:initial"}, {Seq: 8, Index: 39, Action: protocol.EventMemberPromoted}}}
	s.index = 40
	d := &desk{site: s, cookie: s.login()}
	d.csrf = between(s.get("/nodes", d.cookie).Body.String(), `name="csrf" value="`)
	s.asked = nil
	return d
}

// between is the value of an attribute that begins with head.
func between(page, head string) string {
	_, rest, _ := strings.Cut(page, head)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// plan sends a form and returns the id of the plan and the page.
func (d *desk) plan(action string, form url.Values) (id, page string) {
	d.t.Helper()
	form.Set("csrf", d.csrf)
	w := d.post("/do/"+action, d.cookie, form)
	id = between(w.Body.String(), `name="id" value="`)
	if w.Code != http.StatusOK || id == "" {
		d.t.Fatalf("%s: %d %s", action, w.Code, w.Body)
	}
	return id, w.Body.String()
}

func (d *desk) confirm(action, id, typed string) (int, string) {
	w := d.post("/do/"+action+"/confirm", d.cookie, url.Values{"csrf": {d.csrf}, "id": {id}, "typed": {typed}})
	return w.Code, w.Body.String()
}

// writes are the commands that were sent to change something, each with its request id.
func (d *desk) writes() (out []string) {
	for _, r := range d.asked {
		if r.Command.Mode == protocol.ModeWrite && !r.DryRun {
			out = append(out, r.Type+" "+r.RequestID)
		}
	}
	return out
}

var promoteAlice = url.Values{"network": {"3"}, "node": {"7"}}

// An action shows what it would change, does nothing before it is confirmed,
// and has one request id however often the form is sent.
func TestActionIsPlannedThenCarriedOutOnce(t *testing.T) {
	d := newDesk(t)
	if w := d.get("/do/promote?network=3&node=7", d.cookie); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `value="7"`) {
		t.Errorf("the form: %d %s", w.Code, w.Body)
	}
	id, page := d.plan("promote", promoteAlice)
	for _, want := range []string{"Role of node 7 (alice)", `<td class="old">member</td><td class="new">admin</td>`, "pilotctl network promote 3 7"} {
		if !strings.Contains(page, want) {
			t.Errorf("the plan is without %q: %s", want, page)
		}
	}
	if got := d.writes(); len(got) > 0 {
		t.Fatalf("planning has sent %v", got)
	}
	for range 2 { // the form is sent twice, the second time after the role has changed
		code, page := d.confirm("promote", id, "")
		if code != http.StatusOK || !strings.Contains(page, "<strong>Done.</strong>") || strings.Count(page, `href="/audit/`) != 1 || !strings.Contains(page, `href="/audit/9"`) {
			t.Errorf("%d %s", code, page)
		}
		d.replies["get_member_role"] = &protocol.GetMemberRoleReply{Role: "admin"}
	}
	if got := fmt.Sprint(d.writes()); got != fmt.Sprintf("[promote_member %s promote_member %s]", id, id) {
		t.Errorf("sent %s", got)
	}
}

// When a plan would do something else by the time it is confirmed, it is shown
// again and nothing is carried out.
func TestPlanIsShownAgainWhenTheRegistryMoved(t *testing.T) {
	d := newDesk(t)
	id, _ := d.plan("promote", promoteAlice)
	d.replies["get_member_role"] = &protocol.GetMemberRoleReply{Role: "owner"}
	code, page := d.confirm("promote", id, "")
	if code != http.StatusConflict || !strings.Contains(page, "The registry has changed since") || len(d.writes()) > 0 {
		t.Errorf("%d, sent %v: %s", code, d.writes(), page)
	}
	if again := between(page, `name="id" value="`); again == "" || again == id {
		t.Errorf("the new plan has the id %q", again)
	}
}

// An outcome that nobody knows is said to be unknown, and asking again keeps the id.
func TestUnknownOutcomeIsSaid(t *testing.T) {
	d := newDesk(t)
	id, _ := d.plan("promote", promoteAlice)
	d.errors["promote_member"] = protocol.Unknownf(protocol.CodeOutcomeUnknown, "the leader was lost")
	code, page := d.confirm("promote", id, "")
	if code != http.StatusServiceUnavailable || !strings.Contains(page, "Unknown outcome") || strings.Contains(page, "Done") || between(page, `name="id" value="`) != id {
		t.Errorf("%d %s", code, page)
	}
	d.errors["promote_member"] = protocol.NotAppliedf(protocol.CodeNoLeader, "no leader") // says nothing of the first sending
	if _, page := d.confirm("promote", id, ""); !strings.Contains(page, "Unknown outcome") || between(page, `name="id" value="`) != id {
		t.Errorf("the second sending: %s", page)
	}
	delete(d.errors, "promote_member")
	d.replies["get_member_role"] = &protocol.GetMemberRoleReply{Role: "admin"} // it had been carried out
	d.replayed = true
	if code, page := d.confirm("promote", id, ""); code != http.StatusOK || !strings.Contains(page, "not once more") {
		t.Errorf("%d %s", code, page)
	}
	if got := d.writes(); len(got) != 3 || got[0] != got[1] || got[1] != got[2] {
		t.Errorf("sent %v", got)
	}
}

func TestRefusalsAreSaid(t *testing.T) {
	d := newDesk(t)
	id, _ := d.plan("promote", promoteAlice)
	d.errors["promote_member"] = protocol.Refusef(protocol.CodeAlreadyExists, "node 7 is already an admin")
	if code, page := d.confirm("promote", id, ""); code != http.StatusConflict || !strings.Contains(page, "<strong>Refused.</strong> node 7 is already an admin") {
		t.Errorf("%d %s", code, page)
	}
	w := d.post("/do/promote", d.cookie, url.Values{"csrf": {d.csrf}, "network": {"3"}, "node": {"seven"}})
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "is not a number") || !strings.Contains(w.Body.String(), `value="seven"`) {
		t.Errorf("a wrong answer: %d %s", w.Code, w.Body)
	}
	d.errors["list_networks"] = protocol.NotAppliedf(protocol.CodeNoLeader, "no leader")
	if w := d.post("/do/promote", d.cookie, url.Values{"csrf": {d.csrf}, "network": {"3"}, "node": {"7"}}); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "no leader answers") {
		t.Errorf("without a leader: %d %s", w.Code, w.Body)
	}
}

// What cannot be undone is confirmed by typing what it is done to.
func TestDestructiveActionsAreTyped(t *testing.T) {
	d := newDesk(t)
	id, page := d.plan("kick", promoteAlice)
	if !strings.Contains(page, "Type <code>7</code> to confirm") {
		t.Error(page)
	}
	for _, typed := range []string{"", "8"} {
		if code, page := d.confirm("kick", id, typed); code != http.StatusBadRequest || len(d.writes()) > 0 || !strings.Contains(page, "type 7 to confirm") {
			t.Errorf("typed %q: %d, sent %v", typed, code, d.writes())
		}
	}
	if code, page := d.confirm("kick", id, "7"); code != http.StatusOK || len(d.writes()) != 1 {
		t.Errorf("%d, sent %v: %s", code, d.writes(), page)
	}
}

// A form that is too long is refused as such, not as that of another session.
func TestALongFormIsRefusedAsLong(t *testing.T) {
	d := newDesk(t)
	w := d.post("/identity/check", d.cookie, url.Values{"csrf": {d.csrf}, "token": {strings.Repeat("x", maxForm)}})
	if w.Code == http.StatusOK || !strings.Contains(w.Body.String(), "the form is longer than") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// Nobody acts without the session and the form that was given to it.
func TestActionsNeedTheirOwnForm(t *testing.T) {
	d := newDesk(t)
	id, _ := d.plan("promote", promoteAlice)
	other := d.login()
	otherCSRF := between(d.get("/nodes", other).Body.String(), `name="csrf" value="`)
	d.asked = nil
	for path := range d.c.actions {
		for name, form := range map[string]url.Values{"no csrf": {}, "a guess": {"csrf": {"guess"}}, "another session's": {"csrf": {otherCSRF}}} {
			for _, end := range []string{"", "/confirm"} {
				form.Set("id", id)
				if w := d.post("/do/"+path+end, d.cookie, form); w.Code != http.StatusForbidden {
					t.Errorf("%s%s with %s: %d", path, end, name, w.Code)
				}
			}
		}
		form := url.Values{"csrf": {d.csrf}, "id": {id}}
		if w := d.post("/do/"+path, d.cookie, form, "Sec-Fetch-Site", "cross-site"); w.Code != http.StatusForbidden {
			t.Errorf("%s from another site: %d", path, w.Code)
		}
		if w := d.post("/do/"+path, "", form); w.Code != http.StatusSeeOther || !strings.HasPrefix(w.Header().Get("Location"), "/login") {
			t.Errorf("%s without a session: %d", path, w.Code)
		}
	}
	if len(d.asked) > 0 {
		t.Errorf("the registry was asked %s", d.asked[0].Type)
	}
	if w := d.get("/do/promote/confirm?id="+id, d.cookie); w.Code != http.StatusMethodNotAllowed && w.Code != http.StatusNotFound {
		t.Errorf("a plan is carried out by a link: %d", w.Code)
	}
	w := d.post("/do/promote/confirm", other, url.Values{"csrf": {otherCSRF}, "id": {id}})
	if w.Code != http.StatusNotFound || len(d.writes()) > 0 {
		t.Errorf("another session carries the plan out: %d", w.Code)
	}
}

// A session whose token is no longer an administrator's acts no more: the
// registry refuses it, and the session ends with its plans.
func TestActionsEndWithTheToken(t *testing.T) {
	d := newDesk(t)
	id, _ := d.plan("promote", promoteAlice)
	d.token = "the next one"
	if code, _ := d.confirm("promote", id, ""); code != http.StatusSeeOther {
		t.Errorf("confirmed with an old token: %d", code)
	}
	d.token = rightToken
	if code, _ := d.confirm("promote", id, ""); code != http.StatusSeeOther || len(d.writes()) > 0 {
		t.Errorf("the session is back: %d, sent %v", code, d.writes())
	}
	if len(d.c.plans.by) > 0 || d.c.plans.bytes != 0 {
		t.Errorf("%d plans of an ended session, %d bytes", len(d.c.plans.by), d.c.plans.bytes)
	}
}

// A secret that a form brings goes to the registry and never back.
func TestSecretsDoNotComeBack(t *testing.T) {
	d := newDesk(t)
	const secret = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0"
	id, page := d.plan("set-webhook", url.Values{"url": {"https://hooks.example.org/a"}, "secret": {secret}})
	code, done := d.confirm("set-webhook", id, "")
	if code != http.StatusOK || strings.Contains(page+done, secret) || !strings.Contains(page, "a new one") {
		t.Errorf("%d %s %s", code, page, done)
	}
	sent := d.asked[len(d.asked)-2].Body.(*protocol.SetWebhook)
	if sent.Secret != secret {
		t.Errorf("sent %+v", sent)
	}
	w := d.post("/do/set-webhook", d.cookie, url.Values{"csrf": {d.csrf}, "url": {"https://hooks.example.org/a"}, "secret": {"whsec_wrong"}})
	if w.Code != http.StatusBadRequest || strings.Contains(w.Body.String(), "whsec_wrong") {
		t.Errorf("a wrong secret: %d %s", w.Code, w.Body)
	}
}

// Plans are bounded by number and by length; the oldest make room.
func TestPlansAreBounded(t *testing.T) {
	p := &plans{by: map[string]*kept{}}
	first := p.keep(&kept{csrf: "s"})
	for range maxPlans {
		p.keep(&kept{csrf: "s"})
	}
	if len(p.by) != maxPlans || p.of(first, "s", time.Time{}) != nil {
		t.Errorf("%d plans are kept", len(p.by))
	}
	last := p.keep(&kept{csrf: "s", in: values{"text": strings.Repeat("x", maxPlanBytes)}})
	if len(p.by) != 1 || p.of(last, "s", time.Time{}) == nil {
		t.Errorf("%d plans beside a long one", len(p.by))
	}
	if p.of(last, "s", time.Time{}.Add(lifetime+1)) != nil {
		t.Error("a plan outlives every session")
	}
	if p.forget("s"); len(p.by) != 0 || len(p.order) != 0 || p.bytes != 0 {
		t.Errorf("%d plans, %d bytes after the session", len(p.by), p.bytes)
	}
}

func TestListings(t *testing.T) {
	for text, want := range map[string]string{
		"external_id,role\nalice@x,admin\n":     "map[entries:[map[external_id:alice@x role:admin]]]",
		"external_id;role\r\nalice@x;\r\n":      "map[entries:[map[external_id:alice@x role:]]]",
		`[{"external_id": "alice@x"}]`:          "map[entries:[map[external_id:alice@x]]]",
		"entries:\n- external_id: alice@x\n":    "map[entries:[map[external_id:alice@x]]]",
		"remove_unlisted: true\nentries: []\n":  "map[entries:[] remove_unlisted:true]",
		"external_id,external_id\na,b\n":        `the column "external_id" is there twice`,
		"external_id,role\nalice\n":             "the table cannot be read: record on line 2: wrong number of fields",
		"people:\n- external_id: alice@x\n":     `unknown field "people": a listing has entries, remove_unlisted and network_id`,
		"entries: [\n":                          "it can be read neither as YAML nor as JSON: line 1: did not find expected node content",
		"alice@x":                               "want a list of entries, or an object with entries",
		" \n":                                   "choose a file, or put the text into the form",
		"entries: []\nentries: []\n":            "it can be read neither as YAML nor as JSON: unmarshal errors:\n  line 2: mapping key \"entries\" already defined at line 1",
		"external_id,role\n\"a, b\",member\n\n": "map[entries:[map[external_id:a, b role:member]]]",
	} {
		fields, e := listing(text)
		got := fmt.Sprint(fields)
		if e != nil {
			got = e.Text
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// A blueprint is compared with the network setting by setting, without secrets.
func TestBlueprintDifferences(t *testing.T) {
	have := &protocol.ProvisionedNetwork{Name: "prod", JoinRule: "open", MaxMembers: 10, AllowedPorts: []uint16{80}, Roles: []protocol.BlueprintRole{{ExternalID: "old@x", Role: "admin"}}}
	read, e := document("name: prod\njoin_rule: token\njoin_token: secret\nenterprise: false\npolicy:\n  max_members: 20\n  allowed_ports: [80]\nroles:\n- external_id: New@x\n  role: member\n")
	if e != nil {
		t.Fatal(e)
	}
	want := "[{join_rule open token} {join_token not shown set} {policy.max_members 10 20} {roles.new@x none member} {roles.old@x admin none}]"
	if got := fmt.Sprint(differences(read, have)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	raw, e := blueprintYAML(have)
	if e != nil {
		t.Fatal(e)
	}
	again, e := document(string(raw))
	if e != nil || len(differences(again, have)) != 0 {
		t.Errorf("a blueprint that was written down differs: %v %s", differences(again, have), raw)
	}
}

// A pasted blueprint is compared with the network, changes nothing, and is not
// sent back: it may have a secret.
func TestBlueprintIsCompared(t *testing.T) {
	d := newDesk(t)
	d.replies["get_provision_status"] = &protocol.ProvisionStatusReply{Networks: []protocol.ProvisionedNetwork{{NetworkID: 3, Name: "prod-fleet", JoinRule: "open", MaxMembers: 10}}}
	if body := d.get("/networks/3/compare", d.cookie).Body.String(); !strings.Contains(body, "max_members: 10") {
		t.Error(body)
	}
	compare := func(text string) (int, string) {
		w := d.post("/networks/3/compare", d.cookie, url.Values{"csrf": {d.csrf}, "text": {text}})
		return w.Code, w.Body.String()
	}
	code, body := compare("name: prod-fleet\njoin_token: s3cret\npolicy:\n  max_members: 20\n")
	if code != http.StatusOK || !strings.Contains(body, `<td>policy.max_members</td><td class="old">10</td><td class="new">20</td>`) || strings.Contains(body, "s3cret") {
		t.Errorf("%d %s", code, body)
	}
	if code, body := compare("name: prod-fleet\n"); code != http.StatusOK || !strings.Contains(body, "the network is as the blueprint says") {
		t.Errorf("%d %s", code, body)
	}
	for _, text := range []string{"", "- a\n", "a: ["} {
		if code, body := compare(text); code != http.StatusBadRequest || strings.Contains(body, "says otherwise") {
			t.Errorf("%q: %d %s", text, code, body)
		}
	}
	if w := d.post("/networks/3/compare", d.cookie, url.Values{"text": {"name: x"}}); w.Code != http.StatusForbidden || len(d.writes()) > 0 {
		t.Errorf("without the token of the session: %d, sent %v", w.Code, d.writes())
	}
}
