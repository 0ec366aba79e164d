// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// formerKey finds a key, with its generation, that the sender of a request has
// no longer. A request that took the node's key away, as rotate_key does, is
// still known by that key when it comes again.
type formerKey func(*fsm.Root, *protocol.Request, *fsm.Call) (key protocol.PublicKey, gen uint32, ok bool)

// rememberedKey is that of a request which is remembered by its id, whatever its command.
func rememberedKey(root *fsm.Root, req *protocol.Request, c *fsm.Call) (key protocol.PublicKey, gen uint32, ok bool) {
	if c.Options.RequestID == "" {
		return key, 0, false
	}
	return root.FormerKey(req.Command, protocol.SignerID(req.Command, req.Body), c.Options.RequestID)
}

// goneKey is that of a node which has left. It is not a stranger, so its request
// is remembered: a copy that is still on its way would take the node out again
// after it has come back.
func goneKey(root *fsm.Root, req *protocol.Request, _ *fsm.Call) (protocol.PublicKey, uint32, bool) {
	return root.GoneKey(protocol.SignerID(req.Command, req.Body))
}

// replacedKey is the one that a node has just replaced, when it asks once more
// because it has not heard the answer. It counts for signatures over challenges
// only: a signed request that comes again is known by its id.
func replacedKey(root *fsm.Root, req *protocol.Request, _ *fsm.Call) (key protocol.PublicKey, gen uint32, ok bool) {
	r := req.Body.(*protocol.RotateKey)
	now, err := protocol.ParsePublicKey(r.NewPublicKey)
	if err != nil || req.Signed != nil {
		return key, 0, false
	}
	return root.ReplacedKey(r.NodeID, now)
}
