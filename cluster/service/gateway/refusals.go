// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/guess"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// Refused privileged commands go into the event log as counts: one note per
// member and interval, however many there were, so that guessing at a token
// neither goes unseen nor floods the log.

// NoteEvery is the usual interval between notes.
const NoteEvery = 10 * time.Second

// refusals gathers what was refused until it is proposed as one note.
type refusals struct {
	engine  Engine
	guesses *guess.Guard
	mu      sync.Mutex
	notes   *share.Notes
}

func newRefusals(engine Engine, guesses *guess.Guard) *refusals {
	return &refusals{engine: engine, guesses: guesses, notes: share.NewNotes()}
}

// noted are the codes that say that somebody may not do what was asked.
var noted = map[string]bool{
	protocol.CodeAdminToken: true, protocol.CodeAdminDisabled: true, protocol.CodePermissionDenied: true,
	protocol.CodeSignatureInvalid: true, protocol.CodeSignatureRequired: true, protocol.CodeTokenInvalid: true,
}

// refuse gives a refusal and notes it when the command is a privileged one,
// or a registration that may not touch a node that exists.
func (g *Gateway) refuse(conn *server.ConnState, req *protocol.Request, e *protocol.Error) server.Reply {
	if isNoted(req, e.Code) {
		g.refusals.note(conn, req, e.Code)
	}
	return server.Reply{Err: e}
}

func isNoted(req *protocol.Request, code string) bool {
	return noted[code] && (privileged(req.Command) || resolvers[req.Command.Name].noted)
}

func (r *refusals) note(conn *server.ConnState, req *protocol.Request, code string) {
	r.add(map[share.Note]uint64{{What: req.Type + " " + code, From: share.OfText(conn.Source)}: 1})
}

func privileged(row *protocol.Command) bool {
	return row.Auth == protocol.AuthAdmin || row.Auth == protocol.AuthRole || row.Auth == protocol.AuthSignatureOrAdmin || row.Enterprise
}

// add counts notes, also those that could not be written and are given back.
func (r *refusals) add(counts map[share.Note]uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for note, n := range counts {
		r.notes.Add(note, n)
	}
}

func (r *refusals) take() map[share.Note]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.notes.Take()
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
			g.refusals.propose(ctx)
		}
	}
}

func (r *refusals) propose(ctx context.Context) {
	r.add(r.guesses.Notes())
	counts := r.take()
	if len(counts) == 0 {
		return
	}
	notes := map[string]uint64{}
	for note, n := range counts {
		notes[note.String()] += n
	}
	body, err := json.Marshal(fsm.AuditNote{Term: r.engine.Root().LeaderTerm(), Notes: notes})
	if err != nil { // strings and numbers always encode
		panic(err)
	}
	res, e := r.engine.Propose(ctx, fsm.Envelope{Code: fsm.KindAuditNote, Body: body})
	if e == nil {
		e = res.Err
	}
	if e != nil && (e.Outcome == protocol.OutcomeNotApplied || e.Code == protocol.CodeStaleTerm) {
		r.add(counts)
	}
}
