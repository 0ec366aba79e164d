// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// asker is the caller of a cluster operation: the audit log names them. The zero
// actor is the operator of the member At, who came with its own certificate.
type asker struct {
	Actor  fsm.Actor `json:"actor,omitzero"`
	Source string    `json:"source,omitempty"`
	// At is the member that was asked.
	At string `json:"at,omitempty"`
}

type askerKey struct{}

// AskedBy makes operations of the cluster that are called with the context name
// in the audit log who wanted them, and from where.
func AskedBy(ctx context.Context, actor fsm.Actor, source string) context.Context {
	return context.WithValue(ctx, askerKey{}, asker{Actor: actor, Source: source})
}

// askedAt is the caller of a context's operation at a member.
func askedAt(ctx context.Context, member string) asker {
	by, _ := ctx.Value(askerKey{}).(asker)
	by.At = member
	return by
}

// proposeFor proposes for somebody and treats a decided refusal as an error.
func (w *writes) proposeFor(ctx context.Context, by asker, code protocol.Code, body any) *protocol.Error {
	env, err := envelope(code, body)
	if err != nil {
		return protocol.NotAppliedf(protocol.CodeInternal, "%v", err)
	}
	env.Actor, env.Source = by.Actor, by.Source
	res, e := w.propose(ctx, env)
	if e != nil {
		return e
	}
	return res.Err
}

// proposeDecided proposes and treats a decided refusal as an error.
func (w *writes) proposeDecided(ctx context.Context, code protocol.Code, body any) *protocol.Error {
	return w.proposeFor(ctx, asker{}, code, body)
}

func envelope(code protocol.Code, body any) (fsm.Envelope, error) {
	env := fsm.Envelope{Code: code}
	if body == nil {
		return env, nil
	}
	raw, err := json.Marshal(body)
	env.Body = raw
	return env, err
}
