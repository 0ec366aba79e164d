// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// Refused privileged commands go into the event log as counts: one note per
// member and interval, however many there were, so that guessing at a token
// neither goes unseen nor floods the log.

// NoteEvery is the usual interval between notes.
const NoteEvery = 10 * time.Second

// maxNoted bounds the different refusals of one note; the rest is counted together.
const maxNoted = 200

type refusals struct {
	mu     sync.Mutex
	counts map[string]uint64
}

// noted are the codes that say that somebody may not do what was asked.
var noted = map[string]bool{
	protocol.CodeAdminToken: true, protocol.CodeAdminDisabled: true, protocol.CodePermissionDenied: true,
	protocol.CodeSignatureInvalid: true, protocol.CodeSignatureRequired: true, protocol.CodeTokenInvalid: true,
}

// refuse encodes a refusal and notes it when the command is a privileged one,
// or a registration that may not touch a node that exists.
func (g *Gateway) refuse(conn *server.ConnState, req *protocol.Request, e *protocol.Error) []byte {
	if isNoted(req, e.Code) {
		g.note(conn, req, e.Code)
	}
	return protocol.EncodeError(e)
}

func isNoted(req *protocol.Request, code string) bool {
	return noted[code] && (privileged(req.Command) || req.Type == "register")
}

func (g *Gateway) note(conn *server.ConnState, req *protocol.Request, code string) {
	host, _, err := net.SplitHostPort(conn.Source)
	if err != nil {
		host = conn.Source
	}
	g.refused.add(req.Type + " " + code + " " + host)
}

func privileged(row *protocol.Command) bool {
	return row.Auth == protocol.AuthAdmin || row.Auth == protocol.AuthRole || row.Auth == protocol.AuthSignatureOrAdmin || row.Enterprise
}

func (r *refusals) add(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = map[string]uint64{}
	}
	if _, known := r.counts[what]; !known && len(r.counts) >= maxNoted {
		what = "other"
	}
	r.counts[what]++
}

func (r *refusals) take() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.counts
	r.counts = nil
	return out
}

// give puts counts back that could not be noted.
func (r *refusals) give(counts map[string]uint64) {
	for what, n := range counts {
		r.add(what)
		r.mu.Lock()
		if _, known := r.counts[what]; !known {
			what = "other"
		}
		r.counts[what] += n - 1
		r.mu.Unlock()
	}
}

// NoteRefusals puts what was refused into the event log, until ctx ends.
func (g *Gateway) NoteRefusals(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			g.noteRefusals(ctx)
		}
	}
}

func (g *Gateway) noteRefusals(ctx context.Context) {
	g.refused.give(g.policy.Guesses.Notes())
	counts := g.refused.take()
	if len(counts) == 0 {
		return
	}
	body, err := json.Marshal(fsm.AuditNote{Term: g.engine.Root().LeaderTerm(), Notes: counts})
	if err != nil { // strings and numbers always encode
		panic(err)
	}
	res, e := g.engine.Propose(ctx, fsm.Envelope{Code: fsm.KindAuditNote, Body: body})
	if e == nil {
		e = res.Err
	}
	if e != nil && (e.Outcome == protocol.OutcomeNotApplied || e.Code == protocol.CodeStaleTerm) {
		g.refused.give(counts)
	}
}
