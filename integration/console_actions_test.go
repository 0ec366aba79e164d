// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// deed is an action of the console: what is filled in, what is typed to
// confirm it, and the event that it leaves.
type deed struct {
	action string
	fill   map[string]string
	typed  string
	event  string
}

// deeds are all actions, each once, on a cluster with agents and a hook that
// takes nothing. A fill that is a function of the cluster is made by letter.
func deeds(t *testing.T, w *sender, h *hook) []deed {
	t.Helper()
	var nodes []string
	for range 3 {
		nodes = append(nodes, fmt.Sprint(agent(t, w.Wire).ID))
	}
	closed := fmt.Sprint(w.send(fmt.Sprintf(`{"type":"create_network","admin_token":"$TOKEN","name":"closed","join_rule":"invite","enterprise":true,"node_id":%s}`, nodes[0]))["network_id"])
	const made = "2" // the next network
	return []deed{
		{"create-network", map[string]string{"name": "made", "node": nodes[0], "join_rule": "open", "enterprise": "on"}, "", protocol.EventNetworkCreated},
		{"set-policy", map[string]string{"network": made, "max_members": "50", "ports": "80, 443", "description": "made here"}, "", protocol.EventPolicyChanged},
		{"invite", map[string]string{"network": closed, "node": nodes[1], "inviter": nodes[0]}, "", protocol.EventInviteCreated},
		{"add-member", map[string]string{"network": made, "node": nodes[1]}, "", protocol.EventNetworkJoined},
		{"promote", map[string]string{"network": made, "node": nodes[1], "days": "30"}, "", protocol.EventMemberPromoted},
		{"demote", map[string]string{"network": made, "node": nodes[1]}, "", protocol.EventMemberDemoted},
		{"transfer", map[string]string{"network": made, "node": nodes[1]}, "made", protocol.EventOwnershipTransferred},
		{"kick", map[string]string{"network": made, "node": nodes[0]}, nodes[0], protocol.EventMemberKicked},
		{"key-expiry", map[string]string{"node": nodes[1], "expires_at": time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339)}, "", protocol.EventKeyExpirySet},
		{"sync-directory", map[string]string{"network": made, "text": "external_id,role\nalice@example.com,admin\n"}, "", protocol.EventDirectorySynced},
		{"rename-network", map[string]string{"network": made, "new_name": "renamed"}, "", protocol.EventNetworkRenamed},
		{"set-enterprise", map[string]string{"network": closed}, "closed", protocol.EventNetworkEnterprise},
		{"apply-blueprint", map[string]string{"text": "name: planned\njoin_rule: open\nenterprise: true\npolicy:\n  max_members: 9\n"}, "", protocol.EventNetworkProvisioned},
		{"set-webhook", map[string]string{"url": h.url, "secret": hookSecret}, "", protocol.EventWebhookConfigured},
		{"set-provider", map[string]string{"type": "oidc", "url": h.url + "/keys", "issuer": "https://id.example.org"}, "", protocol.EventIDPConfigured},
		{"set-setting", map[string]string{"name": "trust.mode", "value": "mutual"}, "", protocol.EventSettingChanged},
		{"set-export", map[string]string{"format": "json", "endpoint": h.url + "/export"}, "", protocol.EventAuditExportConfigured},
		{"replay", map[string]string{"sink": protocol.SinkNameExport, "from": "1"}, "", protocol.EventAuditReplayed},
		{"retry-letters", map[string]string{"sink": protocol.SinkNameWebhook, "event": ""}, "", protocol.EventDLQRetried},
		{"drop-letters", map[string]string{"sink": protocol.SinkNameWebhook, "event": ""}, protocol.SinkNameWebhook, protocol.EventDLQDropped},
		{"delete-network", map[string]string{"network": made}, "renamed", protocol.EventNetworkDeleted},
	}
}

// complete waits for the dead letter that a deed is about, and names it.
func (d *deed) complete(t *testing.T, w *sender) {
	t.Helper()
	if event, asks := d.fill["event"]; !asks || event != "" {
		return
	}
	await(t, "a dead letter", func() (any, bool) {
		r := w.try(`{"type":"dlq_list","admin_token":"$TOKEN","name":"audit_webhook"}`)
		letters, _ := r["letters"].([]any)
		if len(letters) == 0 {
			return r, false
		}
		letter, _ := letters[0].(map[string]any)
		if letter["retrying"] == true {
			return r, false
		}
		id, _ := letter["event_id"].(float64)
		d.fill["event"] = fmt.Sprint(int64(id))
		return nil, true
	})
}

// form is a browser without JavaScript.
type form struct {
	t      *testing.T
	base   string
	client *http.Client
	csrf   string
}

func newForm(t *testing.T, base, token string) *form {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &form{t: t, base: base, client: &http.Client{Jar: jar, Timeout: time.Minute}}
	_, page := f.post("/login", url.Values{"token": {token}, "next": {"/settings"}})
	f.csrf = attribute(page, `name="csrf" value="`)
	return f
}

func attribute(page, head string) string {
	_, rest, _ := strings.Cut(page, head)
	value, _, _ := strings.Cut(rest, `"`)
	return html.UnescapeString(value)
}

func (f *form) post(path string, values url.Values) (status int, page string) {
	f.t.Helper()
	r, err := f.client.PostForm(f.base+path, values)
	if err != nil {
		f.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

// do fills the form in, and confirms the plan twice, as an impatient person
// does. While no leader answers it asks again.
func (f *form) do(d deed) {
	f.t.Helper()
	values := url.Values{"csrf": {f.csrf}}
	for name, value := range d.fill {
		values.Set(name, value)
	}
	var status int
	var page string
	await(f.t, "the plan of "+d.action, func() (any, bool) {
		status, page = f.post("/do/"+d.action, values)
		return page, status != http.StatusServiceUnavailable
	})
	id := attribute(page, `name="id" value="`)
	if status != http.StatusOK || id == "" || !strings.Contains(page, "<th>Now</th><th>Then</th>") && !strings.Contains(page, "Planned at revision") {
		f.t.Fatalf("%s: %d: %s", d.action, status, page)
	}
	confirm := func() {
		await(f.t, "the end of "+d.action, func() (any, bool) {
			status, page = f.post("/do/"+d.action+"/confirm", url.Values{"csrf": {f.csrf}, "id": {id}, "typed": {d.typed}})
			return page, status != http.StatusServiceUnavailable
		})
		if status != http.StatusOK || !strings.Contains(page, "<strong>Done.</strong>") {
			f.t.Fatalf("%s: %d: %s", d.action, status, page)
		}
	}
	confirm()
	confirm()
	if !strings.Contains(page, "not once more") {
		f.t.Errorf("%s was carried out twice: %s", d.action, page)
	}
}

// Every action of the console is carried out by a real registry, once however
// often its form is sent, and is in the audit trail with the administrator's
// name. Other tokens than the administrator's are no login.
func TestEveryActionOfThePage(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{})
	w := follower(t, c)
	h := newHook(t, http.StatusUnprocessableEntity)
	ready, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + ready.Nodes[2].Ops
	if other := newForm(t, base, c.ReplicationToken); other.csrf != "" {
		t.Error("the replication token is a login")
	}
	f := newForm(t, base, c.AdminToken)
	for _, d := range deeds(t, w, h) {
		d.complete(t, w)
		f.do(d)
		await(t, d.event+" in the audit trail", func() (any, bool) {
			r := w.try(fmt.Sprintf(`{"type":"get_audit_log","admin_token":"$TOKEN","action":%q,"limit":1}`, d.event))
			raw, _ := json.Marshal(r["entries"])
			return r, strings.Contains(string(raw), `"actor":"token:`)
		})
	}
	if status, _ := f.post("/do/set-setting", url.Values{"name": {"trust.mode"}, "value": {"compatible"}}); status != http.StatusForbidden {
		t.Errorf("a form without the token of the session: %d", status)
	}
}

// fillIn puts the answers of a deed into the form that is open, and sends it.
func (b *browser) fillIn(d deed) {
	b.t.Helper()
	fill, err := json.Marshal(d.fill)
	if err != nil {
		b.t.Fatal(err)
	}
	value[int](b, fmt.Sprintf(`for (const box of document.querySelectorAll("form.form [type=checkbox]")) box.checked = false;
		for (const [name, value] of Object.entries(%s)) {
			const at = document.querySelector("form.form [name=" + name + "]");
			if (at.type === "checkbox") at.checked = true; else at.value = value;
		}
		document.querySelector("form.form").requestSubmit();0`, fill))
}

// act carries a deed out as a person does.
func (b *browser) act(d deed) {
	b.t.Helper()
	subject := url.Values{}
	for _, name := range []string{"network", "node", "sink", "name", "event"} {
		if d.fill[name] != "" {
			subject.Set(name, d.fill[name])
		}
	}
	const planned = `!!document.querySelector("form[action$=confirm] [name=id]")`
	await(b.t, "the plan of "+d.action, func() (any, bool) {
		b.open("/do/" + d.action + "?" + subject.Encode())
		if !value[bool](b, `!!document.querySelector("form.form")`) {
			return value[string](b, "document.body.innerText"), false // no leader answers
		}
		b.shoot("do-" + d.action)
		b.axe("the form of " + d.action)
		b.fillIn(d)
		b.becomes(`!document.querySelector("form.form [name=id], form.form") || ` + planned + ` || !!document.querySelector("[role=alert]")`)
		return value[string](b, "document.body.innerText"), value[bool](b, planned)
	})
	b.shoot("plan-" + d.action)
	b.axe("the plan of " + d.action)
	if d.typed != "" {
		value[int](b, fmt.Sprintf("document.querySelector('[name=typed]').value = %q;0", d.typed))
	}
	await(b.t, "the end of "+d.action, func() (any, bool) {
		value[int](b, `const f = document.querySelector("form[action$=confirm]"); if (f) f.requestSubmit();0`)
		b.becomes(`!!document.querySelector("main [role=status]")`)
		return value[string](b, "document.body.innerText"), value[bool](b, `document.querySelector("main [role=status]").textContent.includes("Done.")`)
	})
	b.see("main tbody", d.event)
	b.shoot("done-" + d.action)
	b.axe("the outcome of " + d.action)
}

// Every action is carried out in a real browser, which shows its event in the
// audit trail. A form that does not belong to the session is refused.
func TestConsoleActions(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{})
	ready, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, "http://"+ready.Nodes[0].Ops)
	w := follower(t, c)
	b.login(c.AdminToken)
	for _, d := range deeds(t, w, newHook(t, http.StatusUnprocessableEntity)) {
		d.complete(t, w)
		b.act(d)
	}
	b.open("/delivery")
	b.look("/delivery?failing")
	b.complaints() // while a leader is elected, an action is a 503
	b.open("/do/set-setting?name=trust.mode")
	value[int](b, `document.querySelector("form.form [name=csrf]").value = "guess"; document.querySelector("form.form").requestSubmit();0`)
	b.see("h1", "This form was not taken")
	b.shoot("csrf")
}
