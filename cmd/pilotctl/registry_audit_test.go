// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// auditState is the registry's audit log: events 5 to 11, of which the older
// ones were cut off. The odd ones are security events.
type auditState struct {
	events  []protocol.AuditEvent
	anchors [2][32]byte
	// anchorSeqs are what retention has cut off, by class.
	anchorSeqs [2]uint64
	// onPage and onChain, when set, run once before such a reply is made.
	onPage, onChain func()
}

// once runs a hook that is set.
func once(hook *func()) {
	if f := *hook; f != nil {
		*hook = nil
		f()
	}
}

// cut takes the oldest event off the log, as retention does.
func (s *auditState) cut() {
	i := int(s.events[0].Class) - 1
	s.anchors[i], s.anchorSeqs[i] = s.events[0].Chain, s.events[0].Seq
	s.events = s.events[1:]
}

// happen appends a security event.
func (s *auditState) happen() {
	last := s.events[len(s.events)-1]
	e := protocol.AuditEvent{Seq: last.Seq + 1, Class: protocol.ClassSecurity, Time: last.Time + 1, Actor: "system", Action: protocol.EventKeyRotated}
	prev := s.anchors[0]
	for i := range s.events {
		if s.events[i].Class == protocol.ClassSecurity {
			prev = s.events[i].Chain
		}
	}
	e.Chain = chained(prev, &e)
	s.events = append(s.events, e)
}

const auditFirst, auditLast = 5, 11

func newAuditState() auditState {
	s := auditState{anchors: [2][32]byte{{1}, {2}}, anchorSeqs: [2]uint64{3, 4}}
	sums := s.anchors
	for seq := uint64(auditFirst); seq <= auditLast; seq++ {
		e := protocol.AuditEvent{Seq: seq, Class: protocol.ClassActivity, Time: 1774952430000 + int64(seq)*1000, Index: 2 * seq,
			Actor: "node:7", Source: "192.0.2.9:4711", Action: protocol.EventHostnameChanged,
			Attrs: []protocol.AuditAttr{{Key: "node_id", Value: "7"}, {Key: "new_hostname", Value: "<a&b>\x1b[31m"}}}
		if seq%2 == 1 {
			e.Class, e.Action, e.Attrs = protocol.ClassSecurity, protocol.EventMemberKicked,
				[]protocol.AuditAttr{{Key: "target_node_id", Value: fmt.Sprint(seq)}, {Key: "network_id", Value: "3"}}
		}
		i := int(e.Class) - 1
		sums[i] = chained(sums[i], &e)
		e.Chain = sums[i]
		s.events = append(s.events, e)
	}
	return s
}

// chained is the hash of an event after the one with the hash prev.
func chained(prev [32]byte, e *protocol.AuditEvent) [32]byte {
	b := protocol.AppendAuditHead(prev[:], e)
	for _, a := range e.Attrs {
		for _, text := range []string{a.Key, a.Value} {
			b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
		}
	}
	return sha256.Sum256(b)
}

// answerAudit answers for the audit trail, its sinks and the identity
// provider. What a request asked for comes back in the reply.
func (r *registry) answerAudit(req *protocol.Request, typ string) (any, *protocol.Error) {
	switch b := req.Body.(type) {
	case *protocol.GetAuditLog:
		return r.auditLog(req, b, typ), nil
	case *protocol.AuditQuery:
		if req.Type == "audit_chain" {
			return r.auditChain(typ), nil
		}
		return protocol.AuditSinkListReply{Type: typ, Sinks: []protocol.AuditSink{
			{SinkConfig: protocol.SinkConfig{Name: "log", Kind: protocol.SinkLog}, Seq: 11, Delivered: 7},
			{SinkConfig: protocol.SinkConfig{Name: "siem", Kind: protocol.SinkExport, Format: protocol.FormatSplunk, Endpoint: "https://h/x", Required: true}, Seq: 5, Lag: 6,
				SinkTotals:  protocol.SinkTotals{DeliveredTotal: 40},
				SinkTrouble: protocol.SinkTrouble{Error: "the receiver answered 503 Service Unavailable", Stalled: "2026-03-31T10:20:30Z", Tries: 3, NextTry: "2026-03-31T10:20:38Z"}}}}, nil
	case *protocol.AuditSinkPut:
		return r.kept(protocol.AuditSinkReply{Name: b.Name, Seq: 11, Type: typ}, b.Sink(), b.Secret), nil
	case *protocol.SinkName:
		if b.Name != "siem" {
			return nil, protocol.Refusef(protocol.CodeNotFound, "sink %q not found", b.Name)
		}
		return protocol.AuditSinkReply{Name: b.Name, Type: typ}, nil
	case *protocol.AuditReplay:
		return protocol.AuditSinkReply{Name: b.Name, Seq: b.FromSeq - 1, Type: typ}, nil
	case *protocol.DeadLetters:
		if b.Name == protocol.SinkNameWebhook && r.sink.Endpoint == "" {
			return nil, protocol.Refusef(protocol.CodeNotFound, "sink %q not found", b.Name)
		}
		if req.Type != "dlq_list" {
			return protocol.DLQChangeReply{Count: int(b.EventID), Name: b.Name, Type: typ}, nil
		}
		return protocol.DLQListReply{Type: typ, Letters: []protocol.DeadLetter{{Sink: b.Name, Attempts: 4, Reason: "connection\x1b refused", FailedAt: "2026-03-31T10:20:40Z",
			WebhookEvent: protocol.WebhookEvent{EventID: 9, Action: "member.kicked", Timestamp: "2026-03-31T10:20:39Z"}}}}, nil
	case *protocol.SetWebhook:
		status := map[bool]string{true: protocol.StatusEnabled, false: protocol.StatusDisabled}[b.URL != ""]
		return r.kept(protocol.SetWebhookReply{Status: status, Type: typ, URL: b.URL}, b.Sink(), b.Secret), nil
	case *protocol.GetWebhook:
		return protocol.GetWebhookReply{Enabled: r.sink.Endpoint != "", Signed: r.secret != "", URL: r.sink.Endpoint, Type: typ}, nil
	case *protocol.SetAuditExport:
		return r.kept(protocol.SetAuditExportReply{Endpoint: b.Endpoint, Format: b.Format, Status: fmt.Sprint("off: ", b.Off()), Type: typ}, b.Sink(), b.Token), nil
	case *protocol.GetAuditExport:
		return protocol.GetAuditExportReply{Enabled: true, Endpoint: r.sink.Endpoint, Format: r.sink.Format, Required: r.sink.Required, Type: typ}, nil
	case *protocol.SetIDPConfig:
		r.idp = b.IDP()
		return protocol.SetIDPConfigReply{IDPType: b.IDPType, Status: fmt.Sprint("required: ", b.RequireIdentity), Type: typ}, nil
	case *protocol.GetIDPConfig:
		return protocol.GetIDPConfigReply{Configured: r.idp.Type != "", IDPType: r.idp.Type, URL: r.idp.URL, Issuer: r.idp.Issuer, ClientID: r.idp.ClientID, Type: typ}, nil
	}
	return nil, nil
}

// sinkState is the sink that was set last.
type sinkState struct {
	sink   protocol.SinkConfig
	secret protocol.Secret
	idp    protocol.IDP
}

func (r *registry) kept(reply any, sink protocol.SinkConfig, secret protocol.Secret) any {
	r.sink, r.secret = sink, secret
	return reply
}

func (r *registry) auditChain(typ string) protocol.AuditChainReply {
	once(&r.onChain)
	reply := protocol.AuditChainReply{ClusterID: "c1", Type: typ}
	for i, class := range []protocol.EventClass{protocol.ClassSecurity, protocol.ClassActivity} {
		end := protocol.AuditChainEnd{Class: class.String(), AnchorSeq: r.anchorSeqs[i], Anchor: hex.EncodeToString(r.anchors[i][:])}
		for _, e := range r.events {
			if e.Class == class {
				end.HeadSeq, end.Head, end.Count = e.Seq, hex.EncodeToString(e.Chain[:]), end.Count+1
			}
		}
		reply.Chains = append(reply.Chains, end)
	}
	return reply
}

// auditLog answers with pages of up to three events.
func (r *registry) auditLog(req *protocol.Request, b *protocol.GetAuditLog, typ string) protocol.GetAuditLogReply {
	once(&r.onPage)
	reply := protocol.GetAuditLogReply{Entries: []protocol.AuditEntry{}, Type: typ}
	limit := 3
	if req.Options.Limit > 0 {
		limit = min(limit, req.Options.Limit)
	}
	var from uint64
	_, _ = fmt.Sscanf(req.Options.Cursor, "at-%d", &from)
	up := b.Ascending || b.AfterSeq > 0
	for i := range r.events {
		e := r.events[i]
		if !up {
			e = r.events[len(r.events)-1-i]
		}
		switch {
		case from != 0 && up && e.Seq < from, from != 0 && !up && e.Seq > from, up && e.Seq <= b.AfterSeq, !auditWants(b, &e):
			continue
		case len(reply.Entries) == limit:
			reply.NextCursor = fmt.Sprint("at-", e.Seq)
			return reply
		}
		reply.Entries = append(reply.Entries, e.Entry())
	}
	return reply
}

func auditWants(b *protocol.GetAuditLog, e *protocol.AuditEvent) bool {
	at := e.Entry().Timestamp
	return protocol.MatchAction(nonEmpty(b.Action), e.Action) && (b.Class == "" || b.Class == e.Class.String()) && (b.NetworkID == 0 || b.NetworkID == e.NetworkID()) &&
		(b.NodeID == 0 || b.NodeID == e.NodeID()) && (b.Since == "" || at >= b.Since) && (b.Until == "" || at < b.Until)
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
