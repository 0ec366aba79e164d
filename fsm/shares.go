// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// bearer is who answers for a command where callers share something: the
// principal that was proven, none for strangers, and where it came from.
type bearer struct{ principal, source, wide string }

// bearerOf finds who answers for a command that came from a source address.
func bearerOf(body protocol.Body, actor Actor, source string) bearer {
	at := share.OfText(source)
	b := bearer{source: at.String(), wide: at.Wide().String()}
	if scope := requestScope(body, actor, source); !strings.HasPrefix(scope, scopeAnonymous) {
		b.principal = scope
	}
	return b
}

func (b *bearer) append(dst []byte) []byte {
	return appendString(appendString(appendString(dst, b.principal), b.source), b.wide)
}

// readBearer reads what append wrote; the empty bearer is left out instead.
func readBearer(d *decoder) bearer {
	b := bearer{d.str(), d.str(), d.str()}
	if b == (bearer{}) {
		d.fail()
	}
	return b
}

// shares count what principals, sources and /48s hold of something.
type shares struct {
	held  index[string, int64]
	total int64
}

func newShares() shares { return shares{held: newIndex[string, int64]()} }

func (s *shares) handOver(dst *shares) {
	dst.total = s.total
	s.held.handOver(&dst.held)
}

// keys of a bearer's counts, "" for those that it has none of.
func (b *bearer) keys() [3]string {
	var k [3]string
	if b.principal != "" {
		k[0] = "p" + b.principal
	}
	if b.source != "" {
		k[1] = "s" + b.source
	}
	if b.wide != b.source {
		k[2] = "w" + b.wide
	}
	return k
}

func (s *shares) add(b *bearer, n int64) {
	s.total += n
	for _, k := range b.keys() {
		if k == "" {
			continue
		}
		held, _ := s.held.get(k)
		if held += n; held > 0 {
			s.held.put(k, held)
		} else {
			s.held.drop(k)
		}
	}
}

// of is what a bearer's principal, its source and the /48 around it hold.
func (s *shares) of(b *bearer) (held [3]int64) {
	for i, k := range b.keys() {
		if k != "" {
			held[i], _ = s.held.get(k)
		}
	}
	return held
}

// allows says whether a bearer may hold n more, or which bound refuses it:
// its principal, its source and the /48 around it each have a part.
func (s *shares) allows(p share.Parts, b *bearer, n int64) share.Limit {
	return s.allowsOf(p, b, s.total, n)
}

// allowsOf is allows where all together hold total.
func (s *shares) allowsOf(p share.Parts, b *bearer, total, n int64) share.Limit {
	held := s.of(b)
	if l := p.Allows(share.Use{Own: held[0], Total: total}, n); l != share.Within {
		return l
	}
	return p.Allows(share.Use{Own: held[1], Group: held[2], Total: total}, n)
}
