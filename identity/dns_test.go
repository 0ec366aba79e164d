// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
)

// zone is a name server for tests. Every query of a name gets the next of the
// name's answers, the last one again and again, so that a name can be public
// when it is checked and something else when it is called.
type zone struct {
	mu      sync.Mutex
	answers map[string][][]netip.Addr
	asked   int
}

func addrs(list ...string) []netip.Addr {
	out := make([]netip.Addr, len(list))
	for i, s := range list {
		out[i] = netip.MustParseAddr(s)
	}
	return out
}

// resolver asks the zone and nobody else.
func (z *zone) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go z.serve(ours)
		return theirs, nil
	}}
}

// serve answers the queries of one connection in the framing of DNS over TCP.
func (z *zone) serve(c net.Conn) {
	defer c.Close()
	for {
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, query); err != nil || len(query) < 12 {
			return
		}
		answer := z.answer(query)
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

func (z *zone) answer(query []byte) []byte {
	name, end := "", 12
	for end < len(query) && query[end] != 0 {
		n := int(query[end])
		name += string(query[end+1:end+1+n]) + "."
		end += n + 1
	}
	kind := binary.BigEndian.Uint16(query[end+1:])
	records := z.next(name, kind)
	out := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, byte(len(records)), 0, 0, 0, 0}, query[12:end+5]...)
	for _, ip := range records {
		out = append(out, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(ip.AsSlice())))
		out = append(out, ip.AsSlice()...)
	}
	return out
}

// next takes the next answer of a name; the two types of a lookup share one.
func (z *zone) next(name string, kind uint16) []netip.Addr {
	z.mu.Lock()
	defer z.mu.Unlock()
	name = strings.ToLower(name)
	list := z.answers[name]
	if len(list) == 0 {
		return nil
	}
	var out []netip.Addr
	for _, ip := range list[0] {
		if ip.Is4() == (kind == 1) {
			out = append(out, ip)
		}
	}
	if z.asked++; z.asked%2 == 0 && len(list) > 1 {
		z.answers[name] = list[1:]
	}
	return out
}
