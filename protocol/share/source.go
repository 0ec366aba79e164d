// SPDX-License-Identifier: Apache-2.0

package share

import (
	"fmt"
	"net"
	"net/netip"
)

// The prefixes that count as one source, and the wider one around IPv6 sources.
const (
	ipv4Bits     = 32
	ipv6Bits     = 64
	ipv6WideBits = 48
	mappedBits   = 96 // before an IPv4 address in IPv6 form
)

// Source is a caller as budgets see it: one IPv4 address, or one IPv6 /64.
// It can be a map key. The zero Source stands for callers without an address;
// they share one budget.
type Source struct{ prefix netip.Prefix }

// Of returns the source of an address. IPv4 addresses in IPv6 form are IPv4
// addresses; zones do not matter.
func Of(addr netip.Addr) Source {
	addr = Plain(addr)
	bits := ipv6Bits
	if addr.Is4() {
		bits = ipv4Bits
	}
	return masked(addr, bits)
}

// OfText returns the source of an address in text: "host:port" or "host". A
// text without an IP address is the zero Source.
func OfText(text string) Source {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return Of(ap.Addr())
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return Source{}
	}
	return Of(addr)
}

// OfConn returns the source of a connection's remote address.
func OfConn(remote net.Addr) Source {
	if tcp, ok := remote.(*net.TCPAddr); ok {
		return Of(tcp.AddrPort().Addr())
	}
	if remote == nil {
		return Source{}
	}
	return OfText(remote.String())
}

// Wide is what the source shares with its neighbours: the /48 of an IPv6
// source. An IPv4 source is its own.
func (s Source) Wide() Source {
	if !s.prefix.Addr().Is6() {
		return s
	}
	return masked(s.prefix.Addr(), min(s.prefix.Bits(), ipv6WideBits))
}

// String is the source as texts show it: "192.0.2.7" or "2001:db8::/64".
func (s Source) String() string {
	switch {
	case !s.prefix.IsValid():
		return "unknown"
	case s.prefix.Addr().Is4():
		return s.prefix.Addr().String()
	}
	return s.prefix.String()
}

// Plain is an address as sources and ranges compare it: IPv4 in its own form,
// without a zone.
func Plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// PlainRange is a range in the form in which Plain addresses lie in it. A
// range of IPv4 addresses in IPv6 form becomes one of IPv4 addresses; one that
// has such addresses and others is refused.
func PlainRange(p netip.Prefix) (netip.Prefix, error) {
	mapped := netip.PrefixFrom(netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff}), mappedBits)
	switch {
	case !p.IsValid():
		return p, fmt.Errorf("%s is not a range of addresses", p)
	case p.Addr().Is4In6() && p.Bits() >= mappedBits:
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits).Masked(), nil
	case p.Addr().Is6() && p.Bits() > 0 && p.Overlaps(mapped):
		return p, fmt.Errorf("%s reaches beyond the IPv4 addresses in IPv6 form: write 0.0.0.0/0 for all of these, and other ranges apart", p)
	}
	return netip.PrefixFrom(Plain(p.Addr()), p.Bits()).Masked(), nil
}

// Ranges are addresses to which bounds do not apply, each as PlainRange gives it.
type Ranges []netip.Prefix

// Has reports whether an address lies in one of the ranges.
func (r Ranges) Has(addr netip.Addr) bool {
	addr = Plain(addr)
	for _, p := range r {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// HasText is Has for "host:port".
func (r Ranges) HasText(source string) bool {
	ap, err := netip.ParseAddrPort(source)
	return err == nil && r.Has(ap.Addr())
}

func masked(addr netip.Addr, bits int) Source {
	p, err := addr.Prefix(bits)
	if err != nil {
		return Source{}
	}
	return Source{p}
}
