// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"crypto/tls"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// panics collects what a server says about its defects.
type panics struct {
	mu   sync.Mutex
	seen []string
}

func (p *panics) note(proto string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, proto)
}

func (p *panics) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.seen, " ")
}

// A request that meets a defect in its handler, or in the decision who may
// connect, costs its sender a connection. The member lives, and so do the
// connections of others.
func TestADefectInAHandlerDoesNotTakeTheMemberDown(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	var seen panics
	s := serve(t, a.identity("cluster-1", "b"), ServerConfig{
		Panicked: seen.note,
		Authorize: func(member, _ string) *protocol.Error {
			if member == "mallory" {
				panic("authorize")
			}
			return nil
		},
		Handle: func(ctx context.Context, from string, typ byte, p []byte) ([]byte, *protocol.Error) {
			if typ == 7 {
				_ = p[1<<20]
			}
			if typ == 8 {
				AfterReply(ctx, func() { panic("after the reply") })
			}
			return echo(ctx, from, typ, p)
		},
		Join: func(context.Context, string, []byte) ([]byte, *protocol.Error) { panic("join") },
	})
	other := dialTo(t, a.identity("cluster-1", "c"), s.Addr().String(), nil)
	if _, err := other.Call(within(t), "b", 1, nil); err != nil {
		t.Fatal(err)
	}
	c := dialTo(t, a.identity("cluster-1", "a"), s.Addr().String(), nil)
	for _, typ := range []byte{7, 8} {
		if _, err := c.Call(within(t), "b", typ, nil); typ == 7 && err == nil {
			t.Error("a handler that panicked has answered")
		}
	}
	mallory := a.identity("cluster-1", "mallory").clientConfig(ProtoRPC, "b")
	for range pendingEach + 1 { // such a connection is not pending for ever
		conn, err := tls.Dial("tcp", s.Addr().String(), mallory)
		if err != nil {
			t.Fatal(err)
		}
		if verdict, _ := io.ReadAll(conn); len(verdict) > 0 {
			t.Errorf("who cannot be judged got %q", verdict)
		}
		_ = conn.Close()
	}
	stranger := pinnedConfig("cluster-1", a.identity("cluster-1", "x").CAHash())
	for range joinsEach + 1 {
		conn, err := tls.Dial("tcp", s.Addr().String(), stranger)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(appendFrame(nil, frame{id: 1})); err != nil {
			t.Error(err)
		}
		if answer, _ := io.ReadAll(conn); len(answer) > 0 {
			t.Errorf("answer %q", answer)
		}
		_ = conn.Close()
	}
	if got, err := other.Call(within(t), "b", 1, []byte("still here")); err != nil || string(got) != "c 1 still here" {
		t.Errorf("another member's connection: %q, %v", got, err)
	}
	got := seen.all()
	if n := strings.Count(got, ProtoRPC); n != 2 {
		t.Errorf("%d panics of requests were counted, want 2: %s", n, got)
	}
	if n := strings.Count(got, ProtoJoin); n != joinsEach+1 {
		t.Errorf("%d panics of joins were counted: %s", n, got)
	}
	if n := strings.Count(got, "handshake"); n != pendingEach+1 {
		t.Errorf("%d panics before the verdict were counted: %s", n, got)
	}
}
