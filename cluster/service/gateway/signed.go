// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Legacy says what becomes of signatures over challenges.
type Legacy string

// Legacy values.
const (
	LegacyAllow Legacy = "allow"
	LegacyWarn  Legacy = "warn"
	LegacyDeny  Legacy = "deny"
)

// maxLegacyUsers bounds the nodes whose last warning is remembered, and
// legacyWarnEvery is the least time, in milliseconds of log time, between two
// warnings about one.
const (
	maxLegacyUsers  = 4096
	legacyWarnEvery = int64(time.Hour / time.Millisecond)
)

func newLegacyUsers() *lru.Cache[uint32, int64] {
	c, err := lru.New[uint32, int64](maxLegacyUsers)
	if err != nil { // only for a size below 1
		panic(err)
	}
	return c
}

// signedRequest verifies the signature of a signed request by the stored key of
// the node that signed it, which must be the one that the command acts for. A
// registration is signed with the key that it brings, see signedRegister.
func signedRequest(root *fsm.Root, req *protocol.Request, c *fsm.Call) *protocol.Error {
	s, row := req.Signed, req.Command
	if !row.Signs(req.Body) {
		if row.Optional {
			return protocol.Errorf(protocol.CodeInvalid, "%s is signed only when %s names who signs: name it, or send it without signed_request", row.Name, row.Signer)
		}
		return protocol.Errorf(protocol.CodeInvalid, "%s is never signed: send it without signed_request", row.Name)
	}
	if row.Signer == "public_key" {
		return nil
	}
	if id := protocol.SignerID(row, req.Body); id != s.NodeID {
		return protocol.Errorf(protocol.CodeSignatureInvalid, "signature verification failed: node %d signed a %s of node %d (%s)", s.NodeID, row.Name, id, row.Signer)
	}
	return signedBy(root, req, c, s.Signature, string(s.Text(root.ClusterID())))
}

// signedRegister verifies a signed registration by the key that it registers. A
// node id that says who signed has to be the one that the key belongs to.
func signedRegister(root *fsm.Root, s *protocol.Signed, b *protocol.Register) *protocol.Error {
	key, err := protocol.ParsePublicKey(b.PublicKey)
	if err != nil {
		return protocol.Errorf(protocol.CodeInvalid, "invalid public key: %v", err)
	}
	if s.NodeID != 0 {
		if stored, _, keyless, ok := root.NodeKey(s.NodeID); !ok || keyless || stored != key {
			return protocol.Refusef(protocol.CodeSignatureInvalid, "signature verification failed: the key to be registered is not that of node %d, which signed", s.NodeID)
		}
	}
	// Stateful: what cluster this is, a member may still have to learn.
	return identity.CheckSignature(key, string(s.Text(root.ClusterID())), s.Signature)
}

// openSignedOnly reports whether a command is open to all and proves who asks by
// a signed request only: an older signature means nothing to it.
func openSignedOnly(row *protocol.Command) bool {
	return row.Auth == protocol.AuthOpen && row.SignedOnly
}

// legacy counts a signature over a challenge, and refuses it where the
// operator wants signed requests only.
func (g *Gateway) legacy(req *protocol.Request) *protocol.Error {
	row := req.Command
	if req.Signature == "" || row.Challenge == "" || openSignedOnly(row) {
		return nil
	}
	if g.policy.OnLegacy != nil {
		g.policy.OnLegacy(row.Name)
	}
	if g.policy.LegacySignatures == LegacyDeny {
		return protocol.Errorf(protocol.CodeLegacySignature,
			"invalid signature: %s is signed in the old way, which can be replayed and is refused here (auth.legacy_signatures is deny); send it as a signed_request", row.Name)
	}
	if row.SignedOnly {
		return protocol.Errorf(protocol.CodeLegacySignature,
			"invalid signature: %s takes no signature in the old way, which can be replayed; send it as a signed_request", row.Name)
	}
	return nil
}

// legacyUse counts a node that proved itself in the old way, once a request,
// and warns about it where the operator wants that. A node that registers is
// told by its key, so one that is new is not counted.
func (g *Gateway) legacyUse(root *fsm.Root, req *protocol.Request, c *fsm.Call) {
	if req.Signature == "" || req.Signed != nil || c == nil {
		return
	}
	node := c.Actor.Node
	if b, ok := req.Body.(*protocol.Register); ok && b.Proven {
		key, err := protocol.ParsePublicKey(b.PublicKey)
		if err != nil {
			return
		}
		node, _ = root.KeyOwner(key)
	}
	if node == 0 {
		return
	}
	if g.policy.OnLegacyNode != nil {
		g.policy.OnLegacyNode(node)
	}
	if g.policy.LegacySignatures != LegacyWarn {
		return
	}
	now := root.Now()
	if last, ok := g.legacyUsers.Get(node); ok && now-last < legacyWarnEvery {
		return
	}
	g.legacyUsers.Add(node, now)
	g.log.Warn("a node signs in the old way, which can be replayed; upgrade it", "node_id", node, "command", req.Command.Name)
}
