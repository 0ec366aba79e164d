// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

const (
	// verifiedFor and verifiedForMax say how long, in milliseconds of log time,
	// a verified token is remembered: the longer one, or until its expiry, when
	// the token says when it ends.
	verifiedFor    = int64(10 * time.Minute / time.Millisecond)
	verifiedForMax = int64(time.Hour / time.Millisecond)
	// rejectedFor is how long a refusal is remembered.
	rejectedFor = int64(5 * time.Second / time.Millisecond)
	// maxVerified and maxRejected bound what is remembered.
	maxVerified, maxRejected = 1 << 14, 1 << 12
)

// verifications are the parts that sources have of the questions under way.
var verifications = share.Parts{Total: maxVerifications, Each: maxVerifications / 8, Group: maxVerifications / 4}

// verdicts remember what tokens were worth, so that the identity webhook is
// not asked again for a daemon that registers again. They hold hashes only.
type verdicts struct {
	verified *lru.Cache[[sha256.Size]byte, verdict]
	rejected *lru.Cache[[sha256.Size]byte, verdict]
}

type verdict struct {
	text  string // the external id, or the reason of the refusal
	until int64  // log time
}

func newVerdicts() *verdicts {
	verified, err := lru.New[[sha256.Size]byte, verdict](maxVerified)
	if err != nil { // only for a size below 1
		panic(err)
	}
	rejected, err := lru.New[[sha256.Size]byte, verdict](maxRejected)
	if err != nil {
		panic(err)
	}
	return &verdicts{verified, rejected}
}

// tokenOf identifies a token under one configuration; publicKey is empty when
// it does not matter who brings it.
func tokenOf(root *fsm.Root, publicKey string, token protocol.Secret) [sha256.Size]byte {
	b := binary.BigEndian.AppendUint64(nil, root.ConfigRevision())
	b = append(append(append(b, publicKey...), 0), token...)
	return sha256.Sum256(b)
}

// verifiedAs is the external id that a token was found to stand for when the
// same key brought it.
func (v *verdicts) verifiedAs(root *fsm.Root, publicKey string, token protocol.Secret) (string, bool) {
	was, ok := v.verified.Get(tokenOf(root, publicKey, token))
	return was.text, ok && root.Now() < was.until
}

// rejection is why a token was refused a moment ago.
func (v *verdicts) rejection(root *fsm.Root, token protocol.Secret) (string, bool) {
	was, ok := v.rejected.Get(tokenOf(root, "", token))
	return was.text, ok && root.Now() < was.until
}

func (v *verdicts) rememberVerified(root *fsm.Root, publicKey string, token protocol.Secret, subject string) {
	until := root.Now() + verifiedFor
	if end, known := identity.Expiry(token); known {
		until = min(end.UnixMilli(), root.Now()+verifiedForMax)
	}
	v.verified.Add(tokenOf(root, publicKey, token), verdict{subject, until})
}

func (v *verdicts) rememberRejected(root *fsm.Root, token protocol.Secret, reason string) {
	v.rejected.Add(tokenOf(root, "", token), verdict{reason, root.Now() + rejectedFor})
}

// slots share the questions to the webhook among sources.
type slots struct {
	mu   sync.Mutex
	pool *share.Pool[share.Source]
}

// take gives a source one question; the second result ends it.
func (s *slots) take(source share.Source, exempt bool) (share.Limit, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	take := s.pool.Take
	if exempt {
		take = s.pool.TakeExempt
	}
	limit := take(source, source.Wide(), 1)
	return limit, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pool.Give(source, source.Wide(), 1)
	}
}

// Repeats reports whether a registration only repeats what this member knows:
// its key is bound, and its identity token, if it counts for anything, was
// verified for the same key.
func (g *Gateway) Repeats(b *protocol.Register) bool {
	key, err := protocol.ParsePublicKey(b.PublicKey)
	root := g.engine.Root()
	if err != nil || !root.KnownKey(key) {
		return false
	}
	if _, configured := root.IDP(); b.IdentityToken == "" || !configured && root.IdentityWebhook() == "" {
		return true
	}
	_, known := g.identities.verdicts.verifiedAs(root, b.PublicKey, b.IdentityToken)
	return known
}
