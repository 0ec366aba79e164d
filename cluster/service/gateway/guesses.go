// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/base/guess"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// presented is the kind of token that a request brings, "" when it brings none.
func presented(req *protocol.Request) guess.Kind {
	b, joins := req.Body.(*protocol.JoinNetwork)
	switch {
	case req.AdminToken != "":
		return guess.Admin
	case joins && b.Token != "":
		return guess.Network
	}
	return ""
}

// guessed reports whether the token of a request, answered with the error code
// or "", was a wrong one that could have told its sender something: the request was refused, or a right token
// would have shown more. A wrong token beside a good signature tells nothing.
func (g *Gateway) guessed(req *protocol.Request, kind guess.Kind, code string) bool {
	if kind == guess.Network {
		return code == protocol.CodeTokenInvalid
	}
	root := g.engine.Root()
	tokens := root.Tokens(fsm.TokenAdmin)
	if code == "" && req.Command.Auth != protocol.AuthOpen || len(tokens) == 0 {
		return false
	}
	if match(g.engine.Keyring(), tokens, cluster.PurposeAdmin, req.AdminToken) != nil {
		return false
	}
	if _, ok := req.Body.(protocol.RoleBody); !ok {
		return true
	}
	stored, has := root.NetworkAdminToken(protocol.NetworkID(req.Command, req.Body))
	return !has || !g.engine.Keyring().Verify(stored, purposeNetworkAdmin, string(req.AdminToken))
}
