// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"bufio"
	"context"
	"crypto/tls"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/spans"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

func (s *Server) serveRPC(conn *tls.Conn, member string) {
	ctx, cancel := context.WithCancel(s.ctx)
	out := newOutbox()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer out.close()
	wg.Add(1)
	proto := ProtoRPC
	go func() {
		defer wg.Done()
		defer s.survive(conn.NetConn(), &proto)
		if out.run(conn, ctx.Done()) != nil {
			_ = conn.NetConn().Close()
		}
	}()
	slots := make(chan struct{}, inflightPerConn)
	r := bufio.NewReaderSize(conn, 64<<10)
	var traced []byte // of the request that comes next
	for {
		_ = conn.SetReadDeadline(time.Now().Add(idleTimeout))
		f, err := readFrame(r, MaxFrame)
		if err != nil {
			return
		}
		if f.typ == typeTrace {
			traced = f.payload
			continue
		}
		f.trace, traced = traced, nil
		if f.typ >= reserved {
			out.put(outFrame{f: frame{id: f.id, typ: typeOK}})
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			busy := protocol.NotAppliedf(protocol.CodeOverloaded, "this member is working on %d requests of member %s; send the request again later", inflightPerConn, member)
			out.put(outFrame{f: frame{id: f.id, typ: typeError, payload: EncodeError(busy)}})
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			defer s.survive(conn.NetConn(), &proto)
			s.answer(ctx, member, f, out)
		}()
	}
}

func (s *Server) answer(ctx context.Context, member string, f frame, out *outbox) {
	if f.budget > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(f.budget)*time.Millisecond)
		defer cancel()
	}
	ctx = spans.Received(ctx, f.trace)
	after := &afterReply{}
	resp, e := s.cfg.Handle(context.WithValue(ctx, afterReplyKey{}, after), member, f.typ, f.payload)
	reply := frame{id: f.id, typ: typeOK, payload: resp}
	if e == nil && len(resp) > MaxFrame {
		e = protocol.Errorf(protocol.CodeTooLarge, "answer of %d bytes between members (max %d)", len(resp), MaxFrame)
	}
	if e != nil {
		reply = frame{id: f.id, typ: typeError, payload: EncodeError(e)}
	}
	out.put(outFrame{f: reply, gone: after.do})
}

type afterReplyKey struct{}

type afterReply struct{ do func() }

// AfterReply has do called once the reply to the request of a handler's ctx has
// been written, or cannot be written any more. For what would cut the reply off.
func AfterReply(ctx context.Context, do func()) {
	if after, ok := ctx.Value(afterReplyKey{}).(*afterReply); ok {
		after.do = do
		return
	}
	do()
}

// join serves a joining machine unless its source has too many such
// connections: anyone who reaches the port can open them.
func (s *Server) join(conn *tls.Conn, source share.Source) {
	s.mu.Lock()
	limit := s.joins.Take(source, source.Wide(), 1)
	s.mu.Unlock()
	if limit != share.Within {
		_ = conn.SetDeadline(time.Now().Add(refusalTimeout))
		busy := protocol.NotAppliedf(protocol.CodeOverloaded, "too many machines are joining from %s; try again in %s", source, joinTimeout)
		if _, err := conn.Write(appendFrame(nil, frame{id: 1, typ: typeError, payload: EncodeError(busy)})); err == nil {
			_ = conn.CloseWrite()
		}
		return
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.joins.Give(source, source.Wide(), 1)
	}()
	s.serveJoin(conn)
}

func (s *Server) serveJoin(conn *tls.Conn) {
	_ = conn.SetDeadline(time.Now().Add(joinTimeout))
	ctx, cancel := context.WithTimeout(s.ctx, joinTimeout)
	defer cancel()
	f, err := readFrame(conn, joinLimit)
	if err != nil {
		return
	}
	resp, e := s.cfg.Join(ctx, conn.RemoteAddr().String(), f.payload)
	reply := frame{id: f.id, typ: typeOK, payload: resp}
	if e != nil {
		reply = frame{id: f.id, typ: typeError, payload: EncodeError(e)}
	}
	if _, err := conn.Write(appendFrame(nil, reply)); err == nil {
		_ = conn.CloseWrite()
	}
}
