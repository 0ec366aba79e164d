// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/base/guess"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// AdminToken checks an admin token that a source, "host:port", brings outside
// the wire protocol. Wrong tokens count as they do there. It waits, or answers
// rate_limited, when the source has brought many wrong ones.
func (g *Gateway) AdminToken(ctx context.Context, source string, token protocol.Secret) *protocol.Error {
	if e := g.guesses.Admit(ctx, source, guess.Admin); e != nil {
		return e
	}
	tokens := g.engine.Root().Tokens(fsm.TokenAdmin)
	if len(tokens) == 0 {
		return protocol.Refusef(protocol.CodeAdminDisabled, "this cluster has no admin token, so what needs one is shown on the member's own machine only")
	}
	if match(g.engine.Keyring(), tokens, cluster.PurposeAdmin, token) == nil {
		g.guesses.Wrong(source, guess.Admin)
		return protocol.Refusef(protocol.CodeAdminToken, "invalid admin token")
	}
	return nil
}
