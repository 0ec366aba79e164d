// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"fmt"
	"strconv"
	"strings"
)

// Address is a 48-bit virtual address: a network and a node in it.
type Address struct {
	Network uint16
	Node    uint32
}

// String renders the address as <net>:<NNNN>.<HHHH>.<LLLL>: the network in
// decimal, then network, upper and lower half of the node id as four upper
// case hexadecimal digits each.
func (a Address) String() string {
	return fmt.Sprintf("%d:%04X.%04X.%04X", a.Network, a.Network, a.Node>>16, a.Node&0xffff)
}

// ParseAddress reads the text form of an address. Hexadecimal digits may be
// of either case; the decimal and the hexadecimal network must agree.
func ParseAddress(s string) (Address, error) {
	bad := func() (Address, error) {
		return Address{}, fmt.Errorf("invalid address %q: want <network>:<NNNN>.<HHHH>.<LLLL>, as in 5:0005.00A3.F291", s)
	}
	dec, rest, ok := strings.Cut(s, ":")
	if !ok {
		return bad()
	}
	network, err := strconv.ParseUint(dec, 10, 16)
	if err != nil {
		return bad()
	}
	groups := strings.Split(rest, ".")
	if len(groups) != 3 {
		return bad()
	}
	var part [3]uint64
	for i, g := range groups {
		if len(g) != 4 {
			return bad()
		}
		if part[i], err = strconv.ParseUint(g, 16, 16); err != nil {
			return bad()
		}
	}
	if part[0] != network {
		return Address{}, fmt.Errorf("invalid address %q: network %d does not match hexadecimal group %s", s, network, groups[0])
	}
	return Address{Network: uint16(network), Node: uint32(part[1]<<16 | part[2])}, nil
}
