// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// node is a registered node and its key.
type node struct {
	id  uint32
	key ed25519.PrivateKey
}

func (n node) registerKey() string { return fmt.Sprintf("%s/%d", check.KindRegister, n.id) }

func (n node) counterKey() string { return fmt.Sprintf("%s/%d", check.KindCounter, n.id) }

// lifeKey is the key of a public key's registrations.
func lifeKey(k ed25519.PrivateKey) string {
	public := publicKey(k)
	return check.KindLife + "/" + hex.EncodeToString(public[:8])
}

// registration asks for an id for a key. Every one is told apart from the
// others of the same key by the version it claims to run.
func (c *Client) registration(workload string, key ed25519.PrivateKey) Request {
	return Request{Workload: workload, Key: lifeKey(key), Command: "register",
		Body: &protocol.Register{PublicKey: publicKey(key).String(), ListenAddr: ":4000", Version: c.unique()}}
}

// newNode registers a fresh node.
func (c *Client) newNode(ctx context.Context, workload string) (node, bool) {
	n := node{key: c.env.newKey()}
	r := c.registration(workload, n.key)
	r.Identified, r.Resend = true, 2
	n.id = nodeID(c.Do(ctx, r))
	return n, n.id != 0
}

// nodeID is the id that a reply names, 0 when there is none.
func nodeID(op history.Op) uint32 {
	var reply struct {
		NodeID uint32 `json:"node_id"`
	}
	if op.Outcome != history.OK || json.Unmarshal(op.Reply, &reply) != nil {
		return 0
	}
	return reply.NodeID
}

// writing decides how a write is sent: half with a request id, most of these
// again while their outcome is unknown, and some as signed requests.
func (c *Client) writing(r Request) Request {
	r.Identified = c.chance(50)
	if r.Identified && c.chance(60) {
		r.Resend = 2
	}
	r.Sealed = c.chance(40)
	return r
}

// reading decides the level of a read: most are linearizable. Some of the
// others ask for what the client has already seen.
func (c *Client) reading(r Request) Request {
	switch n := c.rng.IntN(100); {
	case n < 65:
		r.Level = protocol.Linearizable
		return r
	case n < 80:
		r.Level, r.MaxStaleness = protocol.Bounded, time.Duration(20+c.rng.IntN(500))*time.Millisecond
	default:
		r.Level = protocol.Stale
	}
	if c.chance(25) {
		r.MinIndex = c.seen
	}
	return r
}
