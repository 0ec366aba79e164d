// SPDX-License-Identifier: Apache-2.0

package identity

import "net/netip"

// class says what kind of place an address is. Everything but classPublic is
// refused unless the operator allows it.
type class string

const (
	classPublic      class = ""
	classMetadata    class = "a cloud metadata address"
	classLinkLocal   class = "a link-local address"
	classLoopback    class = "a loopback address"
	classPrivate     class = "a private address"
	classUnspecified class = "an unspecified address"
	classMulticast   class = "a multicast address"
	classReserved    class = "a reserved address"
)

// metadataAddrs hand out credentials of the machine: the two of AWS, shared by
// most clouds, and the ones of Azure, Alibaba and Oracle.
var metadataAddrs = map[netip.Addr]bool{
	netip.MustParseAddr("169.254.169.254"): true,
	netip.MustParseAddr("fd00:ec2::254"):   true,
	netip.MustParseAddr("168.63.129.16"):   true,
	netip.MustParseAddr("100.100.100.200"): true,
	netip.MustParseAddr("192.0.0.192"):     true,
}

// ranges that the methods of netip.Addr do not know.
var ranges = []struct {
	in netip.Prefix
	is class
}{
	{netip.MustParsePrefix("0.0.0.0/8"), classUnspecified},
	{netip.MustParsePrefix("100.64.0.0/10"), classPrivate}, // carrier-grade NAT
	{netip.MustParsePrefix("192.0.0.0/24"), classReserved},
	{netip.MustParsePrefix("192.0.2.0/24"), classReserved},
	{netip.MustParsePrefix("198.18.0.0/15"), classPrivate}, // benchmarks, used inside
	{netip.MustParsePrefix("198.51.100.0/24"), classReserved},
	{netip.MustParsePrefix("203.0.113.0/24"), classReserved},
	{netip.MustParsePrefix("240.0.0.0/4"), classReserved}, // with the broadcast address
	{netip.MustParsePrefix("64:ff9b:1::/48"), classPrivate},
	{netip.MustParsePrefix("100::/64"), classReserved},
	{netip.MustParsePrefix("2001::/32"), classReserved}, // Teredo hides an IPv4 address
	{netip.MustParsePrefix("2001:db8::/32"), classReserved},
	{netip.MustParsePrefix("fec0::/10"), classPrivate},
}

// translated are IPv6 ranges with an IPv4 address inside, at the byte given.
var translated = []struct {
	in netip.Prefix
	at int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64
	{netip.MustParsePrefix("::/96"), 12},        // IPv4-compatible, given up
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4
}

// plain takes off what an address may be wrapped in: its zone, and the IPv6
// forms of an IPv4 address.
func plain(ip netip.Addr) netip.Addr {
	ip = ip.WithZone("").Unmap()
	if !ip.Is6() || ip == netip.IPv6Unspecified() || ip == netip.IPv6Loopback() {
		return ip
	}
	for _, t := range translated {
		if t.in.Contains(ip) {
			b := ip.As16()
			return netip.AddrFrom4([4]byte(b[t.at : t.at+4]))
		}
	}
	return ip
}

// classify says what kind of place a plain address is, the worst kind first.
func classify(ip netip.Addr) class {
	switch {
	case !ip.IsValid():
		return classReserved
	case metadataAddrs[ip]:
		return classMetadata
	case ip.IsLinkLocalUnicast(), ip.IsLinkLocalMulticast():
		return classLinkLocal
	case ip.IsLoopback():
		return classLoopback
	case ip.IsUnspecified():
		return classUnspecified
	case ip.IsMulticast():
		return classMulticast
	case ip.IsPrivate():
		return classPrivate
	}
	for _, r := range ranges {
		if r.in.Contains(ip) {
			return r.is
		}
	}
	return classPublic
}
