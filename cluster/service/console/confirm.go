// SPDX-License-Identifier: Apache-2.0

package console

import (
	"crypto/rand"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

const (
	// maxPlans and maxPlanBytes bound the plans that wait for a confirmation; the
	// oldest make room.
	maxPlans     = 256
	maxPlanBytes = 8 << 20
)

// kept is a plan that was shown. What the form said stays here: no secret goes
// back to the browser, and a form that is sent twice is carried out once,
// because the plan has its request id.
type kept struct {
	action *action
	in     values
	plan   *plan
	mark   [32]byte
	csrf   string
	at     time.Time
	size   int

	mu sync.Mutex
	// sent says that the command may have been carried out already, unknown that
	// an earlier sending had no known outcome.
	sent, unknown bool
}

type plans struct {
	mu    sync.Mutex
	by    map[string]*kept
	order []string
	bytes int
}

// keep remembers a plan under a new request id.
func (p *plans) keep(k *kept) string {
	id := "console-" + rand.Text()
	for name, value := range k.in {
		k.size += 2 * (len(name) + len(value)) // the command has it once more
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.by[id] = k
	p.order = append(p.order, id)
	for p.bytes += k.size; len(p.order) > 1 && (len(p.order) > maxPlans || p.bytes > maxPlanBytes); {
		p.bytes -= p.by[p.order[0]].size
		delete(p.by, p.order[0])
		p.order = p.order[1:]
	}
	return id
}

// of finds a plan of a session, as long as a session may live.
func (p *plans) of(id, csrf string, now time.Time) *kept {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.by[id]
	if k == nil || k.csrf != csrf || now.Sub(k.at) > lifetime {
		return nil
	}
	return k
}

// forget drops the plans of a session that ends.
func (p *plans) forget(csrf string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.order = slices.DeleteFunc(p.order, func(id string) bool {
		k := p.by[id]
		if k.csrf != csrf {
			return false
		}
		p.bytes -= k.size
		delete(p.by, id)
		return true
	})
}

// outcome is what became of a plan.
type outcome struct {
	// State is ok, warn or bad, Word says it.
	State, Word string
	Text, Code  string
	// Again offers to send the same request once more.
	Again    bool
	Replayed bool
	Entries  []protocol.AuditEntry
}

// confirmPage carries a plan out and says what became of it. The plan is made
// once more before: when it would do something else now, it is shown again.
func (c *Console) confirmPage(v *visit) (*content, *protocol.Error) {
	a, e := v.action()
	if e != nil {
		return nil, e
	}
	id := v.r.PostFormValue("id")
	k := c.plans.of(id, v.session.csrf, c.cfg.Now())
	if k == nil || k.action != a {
		return nil, protocol.Refusef(protocol.CodeNotFound, "this plan is not kept any more. If it was confirmed, the audit trail says what became of it; otherwise begin again")
	}
	if page, e := k.admit(v); page != nil || e != nil {
		return page, e
	}
	fields := maps.Clone(k.plan.Fields)
	fields["request_id"] = id
	reply := v.send(a.Wire, fields)
	if reply.Err != nil && reply.Err.Code == protocol.CodeAdminToken {
		return nil, reply.Err
	}
	reply.Err = k.note(reply.Err)
	d := &actionData{Action: a, Plan: k.plan, ID: id, Here: a.here(k.in), Outcome: outcomeOf(reply)}
	if reply.Err == nil {
		d.Outcome.Entries = v.caused(a, reply.Index)
	}
	out := &content{Template: "outcome", Title: a.Title, Data: d, Command: k.plan.Command, Room: a.Room}
	if reply.Err != nil {
		out.Status = statusOf(reply.Err)
	}
	return out, nil
}

// admit lets a plan be carried out, or gives the page that asks once more. A
// plan that was sent already is sent again as it is: the registry answers what
// became of it.
func (k *kept) admit(v *visit) (*content, *protocol.Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sent {
		return nil, nil
	}
	if want := k.plan.Type; want != "" && v.r.PostFormValue("typed") != want {
		page := v.showPlan(k.action, k.in, k.plan, "", protocol.Errorf(protocol.CodeInvalid, "type %s to confirm", want))
		page.Status = http.StatusBadRequest
		return page, nil
	}
	now, e := v.plan(k.action, k.in)
	if e != nil {
		return nil, e
	}
	if now.mark() != k.mark {
		page := v.showPlan(k.action, k.in, now, "The registry has changed since the plan was made, and nothing was carried out. This is what would change now.", nil)
		page.Status = http.StatusConflict
		return page, nil
	}
	k.plan, k.sent = now, true
	return nil, nil
}

// note returns what is known of the command after all its sendings: one that
// was not applied this time may still take effect from an earlier sending. A
// command that certainly had no effect may be planned once more.
func (k *kept) note(e *protocol.Error) *protocol.Error {
	if e == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch e.Outcome {
	case protocol.OutcomeUnknown:
		k.unknown = true
	case protocol.OutcomeNotApplied:
		if k.unknown {
			return protocol.Unknownf(e.Code, "%s", e.Text)
		}
		k.sent = false
	}
	return e
}

func outcomeOf(r server.Reply) *outcome {
	e := r.Err
	switch {
	case e == nil && r.Replayed:
		return &outcome{State: "ok", Word: "Done", Text: "It was carried out when it was sent first, and not once more.", Replayed: true}
	case e == nil:
		return &outcome{State: "ok", Word: "Done"}
	case e.Outcome == protocol.OutcomeUnknown:
		return &outcome{State: "warn", Word: "Unknown outcome", Text: "It may have been carried out, or not: " + e.Text + ". Ask again: the request keeps its id, so that it has one effect at most.", Code: e.Code, Again: true}
	case e.Outcome == protocol.OutcomeNotApplied:
		return &outcome{State: "warn", Word: "Not carried out", Text: e.Text, Code: e.Code, Again: true}
	}
	return &outcome{State: "bad", Word: "Refused", Text: e.Text, Code: e.Code}
}

// caused are the events of a command that was carried out. They are looked for
// among the newest; that they cannot be read changes nothing about the outcome.
func (v *visit) caused(a *action, index uint64) []protocol.AuditEntry {
	log, e := ask[protocol.GetAuditLogReply](v, "get_audit_log", map[string]any{"limit": 200, "min_index": index})
	if e != nil {
		return nil
	}
	events := protocol.Must(a.Wire).Events
	return slices.DeleteFunc(log.Entries, func(entry protocol.AuditEntry) bool {
		return entry.Index != index || !slices.Contains(events, entry.Action)
	})
}
