// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"net"
	"sync"

	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// places are the connections of the listener. One source has at most half of
// them, so that a source that holds all of its own does not keep others from
// asking how the member is, and all sources together leave the member the
// files that it needs.
var places = share.Parts{Total: 256, Each: 128, Group: 192}

// Places bounds the connections of a listener: one too many is closed at once.
func Places(l net.Listener) net.Listener {
	return &bounded{Listener: l, pool: share.NewPool[share.Source](places)}
}

type bounded struct {
	net.Listener

	mu   sync.Mutex
	pool *share.Pool[share.Source]
}

func (b *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := share.OfConn(conn.RemoteAddr())
		b.mu.Lock()
		limit := b.pool.Take(source, source.Wide(), 1)
		b.mu.Unlock()
		if limit == share.Within {
			return &placed{Conn: conn, leave: sync.OnceFunc(func() { b.leave(source) })}, nil
		}
		_ = conn.Close()
	}
}

func (b *bounded) leave(source share.Source) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pool.Give(source, source.Wide(), 1)
}

// placed gives its place back when it is closed.
type placed struct {
	net.Conn
	leave func()
}

func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}
