// SPDX-License-Identifier: Apache-2.0

package console

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// action is a write that the console offers: a form, a plan, a confirmation.
type action struct {
	// Path is its place below /do/, Title its form's, Verb what its button says.
	Path, Title, Verb string
	// Room is the entry of the menu that it belongs to.
	Room string
	// Wire is the command that carries it out.
	Wire string
	// Lead says what it does, in a sentence.
	Lead string
	// Fields are the questions of the form, with what is set now.
	Fields func(v *visit, in values) ([]field, *protocol.Error)
	// Plan is what the answers would change.
	Plan func(v *visit, in values) (*plan, *protocol.Error)
}

// values are the answers of a form, by field.
type values map[string]string

// Kinds of fields.
const (
	kindText   = "text"
	kindNumber = "number"
	// kindFixed is shown and not asked: what the link was about.
	kindFixed  = "fixed"
	kindSecret = "secret"
	kindCheck  = "check"
	kindChoice = "choice"
	kindLines  = "lines"
	// kindFile is a file whose text takes the place of the lines above it.
	kindFile = "file"
)

type field struct {
	Name, Label, Kind string
	Value, Hint       string
	Choices           []string
	Required          bool
}

// change is a line of a plan.
type change struct{ What, Old, New string }

// plan is what an action would do.
type plan struct {
	// Subject names what it is done to.
	Subject string
	Changes []change
	// Facts count what the registry found, and say at which revision.
	Facts []fact
	// Effects are what else happens, in sentences; Warnings what to look at first.
	Effects, Warnings []string
	// Fields are those of the command, Type is what has to be typed to confirm.
	Fields map[string]any
	Type   string
	// Command does the same on the command line. Back leads to what was changed.
	Command, Back string
}

type fact struct{ What, Value string }

// mark tells plans apart that would do something else.
func (p *plan) mark() [sha256.Size]byte {
	raw, err := json.Marshal([]any{p.Changes, p.Facts, p.Effects, p.Warnings, p.Type})
	if err != nil { // texts always encode
		panic(err)
	}
	return sha256.Sum256(raw)
}

// add notes a change, unless there is none.
func (p *plan) add(what, old, now string) {
	if old != now {
		p.Changes = append(p.Changes, change{what, old, now})
	}
}

func newActions() map[string]*action {
	by := map[string]*action{}
	for room, lists := range map[string][][]action{"/networks": {networkActions, memberActions, documentActions}, "/delivery": {deliveryActions}, "/identity": {registryActions}} {
		for _, list := range lists {
			for _, a := range list {
				a.Room = room
				by[a.Path] = &a
			}
		}
	}
	by["key-expiry"].Room, by["set-setting"].Room = "/nodes", "/settings"
	return by
}

// actionData is what the pages of an action show.
type actionData struct {
	Action  *action
	Fields  []field
	Problem *protocol.Error
	Plan    *plan
	// ID is the request id under which the plan is carried out.
	ID string
	// Again says why the plan is shown once more.
	Again   string
	Files   bool
	Outcome *outcome
	Here    string
}

func (v *visit) action() (*action, *protocol.Error) {
	a := v.c.actions[v.r.PathValue("action")]
	if a == nil {
		return nil, protocol.Refusef(protocol.CodeNotFound, "there is no such action")
	}
	return a, nil
}

// actionPage shows the form. What the link says is filled in.
func (c *Console) actionPage(v *visit) (*content, *protocol.Error) {
	a, e := v.action()
	if e != nil {
		return nil, e
	}
	in := values{}
	for name, list := range v.r.URL.Query() {
		in[name] = strings.TrimSpace(list[0])
	}
	return v.form(a, in, nil)
}

// form shows a form with the answers so far, and what is wrong with them.
func (v *visit) form(a *action, in values, problem *protocol.Error) (*content, *protocol.Error) {
	fields, e := a.Fields(v, in)
	if e == nil {
		e = v.unconfirmed()
	}
	if e != nil {
		return nil, e
	}
	d := &actionData{Action: a, Fields: fields, Problem: problem}
	for i := range d.Fields {
		f := &d.Fields[i]
		given, isGiven := in[f.Name]
		switch {
		case f.Kind == kindSecret || f.Kind == kindFile:
			d.Files = d.Files || f.Kind == kindFile
		case isGiven:
			f.Value = given
		case problem != nil && f.Kind == kindCheck: // boxes that are not ticked are not sent
			f.Value = ""
		}
	}
	out := &content{Template: "action", Title: a.Title, Data: d, Room: a.Room}
	if problem != nil {
		out.Status = http.StatusBadRequest
	}
	return out, nil
}

// unconfirmed refuses to plan on what no leader has confirmed.
func (v *visit) unconfirmed() *protocol.Error {
	if v.stale {
		return protocol.NotAppliedf(protocol.CodeNoLeader, "no leader answers, so nothing can be changed now; the cluster page says what to do")
	}
	return nil
}

// planPage shows what the answers of a form would change.
func (c *Console) planPage(v *visit) (*content, *protocol.Error) {
	a, e := v.action()
	if e != nil {
		return nil, e
	}
	in, problem := v.answers(a)
	var p *plan
	if problem == nil {
		p, problem = v.plan(a, in)
	}
	switch {
	case problem == nil:
		return v.showPlan(a, in, p, "", nil), nil
	case problem.Code == protocol.CodeAdminToken || noQuorum(problem):
		return nil, problem
	}
	return v.form(a, in, problem)
}

// plan makes the plan, and checks the command that would carry it out.
func (v *visit) plan(a *action, in values) (*plan, *protocol.Error) {
	p, e := a.Plan(v, in)
	if e == nil {
		e = v.unconfirmed()
	}
	if e != nil {
		return nil, e
	}
	if _, e := v.request(a.Wire, p.Fields); e != nil {
		return nil, e
	}
	return p, nil
}

func (v *visit) showPlan(a *action, in values, p *plan, again string, problem *protocol.Error) *content {
	kept := &kept{action: a, in: in, plan: p, mark: p.mark(), csrf: v.session.csrf, at: v.c.cfg.Now()}
	d := &actionData{Action: a, Plan: p, ID: v.c.plans.keep(kept), Again: again, Problem: problem, Here: a.here(in)}
	return &content{Template: "plan", Title: a.Title, Data: d, Command: p.Command, Room: a.Room}
}

// here is the address of the form with the answers that may be in one.
func (a *action) here(in values) string {
	q := url.Values{}
	for _, name := range []string{"network", "node", "sink", "name", "event"} {
		if in[name] != "" {
			q.Set(name, in[name])
		}
	}
	path := "/do/" + a.Path
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return path
}

// answers reads a form.
func (v *visit) answers(a *action) (values, *protocol.Error) {
	in := values{}
	for name, list := range v.r.PostForm {
		in[name] = strings.TrimSpace(list[0])
	}
	fields, e := a.Fields(v, in)
	if e != nil {
		return in, e
	}
	for _, f := range fields {
		if f.Kind == kindFile {
			if e := v.readFile(f.Name, in); e != nil {
				return in, e
			}
		}
		if f.Required && in[f.Name] == "" {
			return in, protocol.Errorf(protocol.CodeInvalid, "%s is required", f.Label)
		}
		if f.Kind == kindChoice && !slices.Contains(f.Choices, in[f.Name]) {
			return in, protocol.Errorf(protocol.CodeInvalid, "%s: choose one of %s", f.Label, strings.Join(f.Choices, ", "))
		}
	}
	return in, nil
}

// number reads an answer that is a whole number; none is 0.
func (in values) number(name string) (uint64, *protocol.Error) {
	if in[name] == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(in[name], 10, 32)
	if err != nil {
		return 0, protocol.Errorf(protocol.CodeInvalid, "%s is not a number", protocol.Quote(in[name]))
	}
	return n, nil
}

// days reads how long something lasts, in seconds; none is for good.
func (in values) days() (seconds uint64, text string, e *protocol.Error) {
	n, e := in.number("days")
	if e != nil || n == 0 {
		return 0, "", e
	}
	return n * 24 * 3600, fmt.Sprintf(" for %s days", count(n)), nil
}

// set puts answers that are given into the fields of a command.
func (in values) set(fields map[string]any, names ...string) {
	for _, name := range names {
		if in[name] != "" {
			fields[name] = in[name]
		}
	}
}

// yes says whether a box is ticked.
func (in values) yes(name string) bool { return in[name] != "" }

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func or(text, none string) string {
	if text == "" {
		return none
	}
	return text
}
