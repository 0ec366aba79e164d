// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

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
