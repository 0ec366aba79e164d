// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// deliveryActions are about where events go.
var deliveryActions = []action{
	{Path: "set-webhook", Title: "Set the audit webhook", Verb: "Set", Wire: "set_webhook",
		Lead: "Each event is posted to the address. Without an address there is no webhook.", Fields: webhookFields, Plan: planWebhook},
	{Path: "set-export", Title: "Set the audit export", Verb: "Set", Wire: "set_audit_export",
		Lead: "Each event is sent to a store of logs, such as Splunk or a syslog server.", Fields: exportFields, Plan: planExport},
	{Path: "retry-letters", Title: "Send dead letters again", Verb: "Send again", Wire: "dlq_retry",
		Lead: "The leader tries each of them once more.", Fields: letterFields, Plan: planLetters("retry")},
	{Path: "drop-letters", Title: "Drop dead letters", Verb: "Drop", Wire: "dlq_drop",
		Lead: "The sink will never get these events. The audit trail keeps them.", Fields: letterFields, Plan: planLetters("drop")},
	{Path: "replay", Title: "Send events again", Verb: "Send again", Wire: "audit_replay",
		Lead: "As a test, the newest event that the sink has got is sent once more, and then the event which says so. An earlier event sends more.", Fields: replayFields, Plan: planReplay},
}

// noExport is the choice that switches the export off.
const noExport = "none"

// sink finds a sink, nil when there is none of the name.
func (v *visit) sink(name string) (*protocol.AuditSink, *protocol.Error) {
	list, e := ask[protocol.AuditSinkListReply](v, "audit_sink_list", nil)
	if e != nil {
		return nil, e
	}
	n := slices.IndexFunc(list.Sinks, func(s protocol.AuditSink) bool { return s.Name == name })
	if n < 0 {
		return nil, nil
	}
	return &list.Sinks[n], nil
}

// sinkOrNone is a sink whose fields are empty when there is none.
func (v *visit) sinkOrNone(name string) (*protocol.AuditSink, *protocol.Error) {
	s, e := v.sink(name)
	if s == nil {
		s = &protocol.AuditSink{}
	}
	return s, e
}

const keepsSecret = "empty keeps the one that is set, as long as the address stays"

func webhookFields(v *visit, _ values) ([]field, *protocol.Error) {
	have, e := v.sinkOrNone(protocol.SinkNameWebhook)
	if e != nil {
		return nil, e
	}
	return []field{
		{Name: "url", Label: "Address", Kind: kindText, Value: have.Endpoint, Hint: "https://hooks.example.org/audit; empty switches it off"},
		{Name: "secret", Label: "Signing secret", Kind: kindSecret, Hint: "whsec_ and base64; " + keepsSecret},
	}, nil
}

func planWebhook(v *visit, in values) (*plan, *protocol.Error) {
	have, e := v.sinkOrNone(protocol.SinkNameWebhook)
	if e != nil {
		return nil, e
	}
	p := &plan{Subject: "Audit webhook", Back: "/delivery", Fields: map[string]any{"url": in["url"]}, Command: "pilotctl webhook set " + quoted(in["url"])}
	p.add("Address", or(have.Endpoint, "none"), or(in["url"], "none"))
	in.set(p.Fields, "secret")
	p.addSecret("Signing secret", have, in["secret"], in["url"])
	if in["url"] == "" {
		p.Command = "pilotctl webhook set --off"
	}
	p.loses(have, in["url"])
	return p, nil
}

// addSecret notes what becomes of the secret of a sink.
func (p *plan) addSecret(what string, have *protocol.AuditSink, given, endpoint string) {
	old, now := "none", "none"
	if have.HasSecret {
		old = "set"
	}
	switch {
	case given != "":
		now = "a new one"
	case endpoint != "" && endpoint == have.Endpoint:
		now = old
	}
	p.add(what, old, now)
}

// loses says what goes with the sink that another one takes the place of.
func (p *plan) loses(have *protocol.AuditSink, endpoint string) {
	if have.Endpoint == "" || have.Endpoint == endpoint {
		return
	}
	p.Type = have.Name
	p.Warnings = append(p.Warnings, fmt.Sprintf("%s gets no more events. It has %s to come, and %s dead letters.", have.Endpoint, count(have.Lag), count(have.DLQSize)))
}

func exportFields(v *visit, _ values) ([]field, *protocol.Error) {
	have, e := v.sinkOrNone(protocol.SinkNameExport)
	if e != nil {
		return nil, e
	}
	box := func(name, label string, on bool) field {
		return field{Name: name, Label: label, Kind: kindCheck, Value: map[bool]string{true: "on"}[on]}
	}
	lag := ""
	if have.MaxLag > 0 {
		lag = strconv.Itoa(int(have.MaxLag))
	}
	return []field{
		{Name: "format", Label: "Format", Kind: kindChoice, Choices: []string{noExport, protocol.FormatJSON, protocol.FormatSplunk, protocol.FormatCEF, protocol.FormatFile}, Value: or(have.Format, noExport)},
		{Name: "endpoint", Label: "Address", Kind: kindText, Value: have.Endpoint, Hint: "a URL; for syslog_cef also tls://host:port; for file a path on the member that leads"},
		{Name: "token", Label: "Token", Kind: kindSecret, Hint: keepsSecret},
		{Name: "index", Label: "Index", Kind: kindText, Value: have.Index, Hint: "for splunk_hec"},
		{Name: "source", Label: "Source", Kind: kindText, Value: have.Source, Hint: "for splunk_hec"},
		{Name: "framing", Label: "Framing", Kind: kindText, Value: have.Framing, Hint: "octet_counting, newline or nul, for syslog_cef over TCP and TLS"},
		box("ack", "Wait until Splunk has indexed the events", have.Ack),
		box("batch", "Several events in one request", have.Batch),
		box("required", "Refuse changes while the export is too far behind", have.Required),
		{Name: "max_lag", Label: "Events it may be behind", Kind: kindNumber, Value: lag, Hint: "10,000 when empty"},
	}, nil
}

func planExport(v *visit, in values) (*plan, *protocol.Error) {
	have, e := v.sinkOrNone(protocol.SinkNameExport)
	if e != nil {
		return nil, e
	}
	lag, e := in.number("max_lag")
	if e != nil {
		return nil, e
	}
	p := &plan{Subject: "Audit export", Back: "/delivery", Fields: map[string]any{"format": "", "endpoint": ""}, Command: "pilotctl export set --off"}
	p.add("Format", or(have.Format, noExport), in["format"])
	if in["format"] == noExport {
		p.add("Address", or(have.Endpoint, "none"), "none")
		p.loses(have, "")
		return p, nil
	}
	p.Fields["format"], p.Command = in["format"], "pilotctl export set --format "+in["format"]
	for _, t := range []struct{ name, what, old string }{{"endpoint", "Address", have.Endpoint}, {"index", "Index", have.Index}, {"source", "Source", have.Source}, {"framing", "Framing", have.Framing}} {
		in.set(p.Fields, t.name)
		p.add(t.what, or(t.old, "none"), or(in[t.name], "none"))
		if in[t.name] != "" {
			p.Command += " --" + t.name + " " + quoted(in[t.name])
		}
	}
	for _, b := range []struct {
		name, what string
		old        bool
	}{{"ack", "Waits for Splunk", have.Ack}, {"batch", "Several events in one request", have.Batch}, {"required", "Changes wait for it", have.Required}} {
		p.Fields[b.name] = in.yes(b.name)
		p.add(b.what, yesNo(b.old), yesNo(in.yes(b.name)))
		if in.yes(b.name) {
			p.Command += " --" + b.name
		}
	}
	if p.add("Events it may be behind", lagText(uint64(have.MaxLag)), lagText(lag)); lag > 0 {
		p.Fields["max_lag"] = lag
		p.Command += fmt.Sprintf(" --max-lag %d", lag)
	}
	in.set(p.Fields, "token")
	p.addSecret("Token", have, in["token"], in["endpoint"])
	p.loses(have, in["endpoint"])
	return p, nil
}

func lagText(n uint64) string {
	if n == 0 {
		n = protocol.DefaultMaxLag
	}
	return count(n)
}

// letters are the dead letters that a form is about: one, or all of the sink.
func (v *visit) letters(in values) ([]protocol.DeadLetter, *protocol.Error) {
	list, e := ask[protocol.DLQListReply](v, "dlq_list", map[string]any{"name": in["sink"]})
	if e != nil {
		return nil, e
	}
	if in["event"] == "" {
		return list.Letters, nil
	}
	return slices.DeleteFunc(list.Letters, func(l protocol.DeadLetter) bool { return strconv.FormatUint(l.EventID, 10) != in["event"] }), nil
}

func letterFields(v *visit, in values) ([]field, *protocol.Error) {
	letters, e := v.letters(in)
	if e != nil {
		return nil, e
	}
	fields := []field{{Name: "sink", Label: "Sink", Kind: kindFixed, Value: in["sink"], Hint: count(len(letters)) + " dead letters"}}
	if in["event"] != "" {
		fields = append(fields, field{Name: "event", Label: "Event", Kind: kindFixed, Value: in["event"]})
	}
	return fields, nil
}

func planLetters(verb string) func(*visit, values) (*plan, *protocol.Error) {
	return func(v *visit, in values) (*plan, *protocol.Error) {
		letters, e := v.letters(in)
		if e != nil {
			return nil, e
		}
		if len(letters) == 0 {
			return nil, protocol.Refusef(protocol.CodeNotFound, "the sink %s has no such dead letter", protocol.Quote(in["sink"]))
		}
		p := &plan{Subject: "Sink " + in["sink"], Back: "/delivery", Fields: map[string]any{"name": in["sink"]}}
		p.Command = fmt.Sprintf("pilotctl webhook dlq %s --sink %s --all", verb, quoted(in["sink"]))
		if in["event"] != "" {
			p.Fields["event_id"] = letters[0].EventID
			p.Command = fmt.Sprintf("pilotctl webhook dlq %s %d --sink %s", verb, letters[0].EventID, quoted(in["sink"]))
		}
		to := "is sent again"
		if verb == "drop" {
			to = "is dropped"
			p.Type = in["sink"]
			p.Warnings = append(p.Warnings, fmt.Sprintf("%s will never get these %s events.", in["sink"], count(len(letters))))
		}
		for _, l := range letters {
			p.Changes = append(p.Changes, change{fmt.Sprintf("Event %d, %s", l.EventID, l.Action), l.Reason, to})
		}
		return p, nil
	}
}

func replayFields(v *visit, in values) ([]field, *protocol.Error) {
	s, e := v.sink(in["sink"])
	if e != nil {
		return nil, e
	}
	if s == nil {
		return nil, protocol.Refusef(protocol.CodeNotFound, "there is no sink %s", protocol.Quote(in["sink"]))
	}
	return []field{
		{Name: "sink", Label: "Sink", Kind: kindFixed, Value: s.Name, Hint: "to " + hostName(s.Endpoint)},
		{Name: "from", Label: "From event", Kind: kindNumber, Value: strconv.FormatUint(max(s.Seq, 1), 10), Hint: "the newest that it has got, or an earlier one", Required: true},
	}, nil
}

func planReplay(v *visit, in values) (*plan, *protocol.Error) {
	s, e := v.sink(in["sink"])
	if e != nil {
		return nil, e
	}
	from, err := strconv.ParseUint(in["from"], 10, 53)
	switch {
	case s == nil:
		return nil, protocol.Refusef(protocol.CodeNotFound, "there is no sink %s", protocol.Quote(in["sink"]))
	case err != nil || from == 0:
		return nil, protocol.Errorf(protocol.CodeInvalid, "%s is not the number of an event", protocol.Quote(in["from"]))
	case from > s.Seq+1:
		return nil, protocol.Errorf(protocol.CodeInvalid, "the sink is at event %d and cannot skip any", s.Seq)
	}
	p := &plan{Subject: "Sink " + s.Name, Back: "/delivery", Fields: map[string]any{"name": s.Name, "from_seq": from},
		Command: fmt.Sprintf("pilotctl audit replay --sink %s --from %d", quoted(s.Name), from),
		Effects: []string{"The receiver gets events a second time; it knows them by their ids.", "The delivery page shows within seconds whether they arrive."},
		Changes: []change{{"Event that is sent next", "the first it has not got", fmt.Sprintf("event %d, then all after it", from)}},
	}
	if s.Error != "" {
		p.Warnings = append(p.Warnings, "The sink fails now, so the events wait until its receiver is mended: "+s.Error)
	}
	return p, nil
}
