// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"crypto/sha256"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// decideSpendToken lets exactly one member with one key use a join token, as
// often as it has to try. Whoever only knows the token and the member's
// name gets no certificate for another key.
func decideSpendToken(v *view, b *SpendToken) (effect, *protocol.Error) {
	if e := checkName("spend_token", b.MemberID); e != nil {
		return nil, e
	}
	if len(b.Key) != sha256.Size {
		return nil, protocol.Errorf(protocol.CodeInvalid, "invalid spend_token: want the SHA-256 of the member's public key")
	}
	key := tokenKey(TokenJoin, b.Name)
	t, known := v.cluster.tokens.Get(key)
	switch {
	case !known:
		return nil, protocol.Refusef(protocol.CodeTokenInvalid, "invalid join token: it does not exist; mint a new one")
	case v.expired(t):
		return nil, protocol.Refusef(protocol.CodeTokenInvalid, "invalid join token: it has expired; mint a new one")
	case t.spentBy != "" && (t.spentBy != b.MemberID || t.spentKey != string(b.Key)):
		return nil, protocol.Refusef(protocol.CodeTokenInvalid, "invalid join token: another member has already used it; mint a new one")
	}
	return func(x *txn) any {
		if t.spentBy == "" {
			spent := *t
			spent.spentBy, spent.spentKey = b.MemberID, string(b.Key)
			putToken(x, key, &spent)
		}
		return ok("spend_token")
	}, nil
}

// voidJoinTokens drops the tokens that a member has used: it is in, or gone.
func voidJoinTokens(x *txn, member string) {
	var used []string
	x.cluster.tokens.Ascend(tokenKey(TokenJoin, ""), func(k string, t *token) bool {
		if t.Kind == TokenJoin && t.spentBy == member {
			used = append(used, k)
		}
		return t.Kind == TokenJoin
	})
	for _, k := range used {
		dropToken(x, k)
	}
}

func readJoinTokens(v *view, c *invocation) (any, *protocol.Error) {
	if e := v.admin(c); e != nil {
		return nil, e
	}
	reply := &protocol.ClusterJoinTokenListReply{Type: "cluster_join_token_list_ok", JoinTokens: []protocol.JoinTokenInfo{}}
	v.cluster.tokens.Ascend(tokenKey(TokenJoin, ""), func(_ string, t *token) bool {
		if t.Kind == TokenJoin && !v.expired(t) {
			info := protocol.JoinTokenInfo{Name: t.Name, NonVoter: t.NonVoter, UsedBy: t.spentBy}
			if t.Expires != 0 {
				info.ExpiresAt = utc(t.Expires)
			}
			reply.JoinTokens = append(reply.JoinTokens, info)
		}
		return t.Kind == TokenJoin
	})
	return reply, nil
}

func decideRevokeJoinToken(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.ClusterJoinTokenName)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	key := tokenKey(TokenJoin, r.Name)
	if t, known := v.cluster.tokens.Get(key); !known || v.expired(t) {
		return nil, protocol.Refusef(protocol.CodeNotFound, "join token %s: not found; cluster_join_token_list shows what there is", protocol.Quote(r.Name))
	}
	return func(x *txn) any {
		dropToken(x, key)
		x.begin(protocol.EventClusterTokenRevoked).str("kind", TokenJoin.String()).str("name", r.Name).end()
		return &protocol.ClusterJoinTokenRevokeReply{Name: r.Name, Type: "cluster_join_token_revoke_ok"}
	}, nil
}
