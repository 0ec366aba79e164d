// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"strings"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
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
	return table.AppendString(table.AppendString(table.AppendString(dst, b.principal), b.source), b.wide)
}

// readBearer reads what append wrote; the empty bearer is left out instead.
func readBearer(d *table.Decoder) bearer {
	b := bearer{d.Text(), d.Text(), d.Text()}
	if b == (bearer{}) {
		d.Fail()
	}
	return b
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

// of is what a bearer's principal, its source and the /48 around it hold.
func (s *shares) of(b *bearer) (held [3]int64) {
	for i, k := range b.keys() {
		if k != "" {
			held[i], _ = s.held.Get(k)
		}
	}
	return held
}

// allows says whether a bearer may hold n more, or which bound refuses it:
// its principal, its source and the /48 around it each have a part.
func (s *shares) allows(p share.Parts, b *bearer, n int64) share.Limit {
	return s.allowsOf(p, b, s.total.Get(), n)
}

// allowsOf is allows where all together hold total.
func (s *shares) allowsOf(p share.Parts, b *bearer, total, n int64) share.Limit {
	held := s.of(b)
	if l := p.Allows(share.Use{Own: held[0], Total: total}, n); l != share.Within {
		return l
	}
	return p.Allows(share.Use{Own: held[1], Group: held[2], Total: total}, n)
}
