// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"time"

	"github.com/hashicorp/go-hclog"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/pilotregistry/pilotregistry/fsm"
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

// legacySignatures counts signatures over challenges and applies the operator's
// switch for them.
type legacySignatures struct {
	wants   Legacy
	metrics Metrics
	log     hclog.Logger
	// warned is when, in log time, a node was last warned about.
	warned *lru.Cache[uint32, int64]
}

func newLegacySignatures(c Config, log hclog.Logger) *legacySignatures {
	warned, err := lru.New[uint32, int64](maxLegacyUsers)
	if err != nil { // only for a size below 1
		panic(err)
	}
	return &legacySignatures{c.Policy.LegacySignatures, c.Metrics, log, warned}
}

// admit counts a signature over a challenge, and refuses it where the operator
// wants signed requests only.
func (l *legacySignatures) admit(req *protocol.Request) *protocol.Error {
	row := req.Command
	if req.Signature == "" || row.Challenge == "" || openSignedOnly(row) {
		return nil
	}
	l.metrics.Legacy(row.Name)
	if l.wants == LegacyDeny {
		return protocol.Errorf(protocol.CodeLegacySignature,
			"invalid signature: %s is signed in the old way, which can be replayed and is refused here (auth.legacy_signatures is deny); send it as a signed_request", row.Name)
	}
	if row.SignedOnly {
		return protocol.Errorf(protocol.CodeLegacySignature,
			"invalid signature: %s takes no signature in the old way, which can be replayed; send it as a signed_request", row.Name)
	}
	return nil
}

// used counts a node that proved itself in the old way, once for each request,
// and warns about it where the operator wants that. A node that registers is
// known by its key, so a new one is not counted.
func (l *legacySignatures) used(root *fsm.Root, req *protocol.Request, c *fsm.Call) {
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
	l.metrics.LegacyNode(node)
	if l.wants != LegacyWarn {
		return
	}
	now := root.Now()
	if last, ok := l.warned.Get(node); ok && now-last < legacyWarnEvery {
		return
	}
	l.warned.Add(node, now)
	l.log.Warn("a node signs in the old way, which can be replayed; upgrade it", "node_id", node, "command", req.Command.Name)
}
