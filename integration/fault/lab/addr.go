// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports of members on their own addresses, and of the relays in front of them.
const (
	wirePort = 9000
	peerPort = 9100
	opsPort  = 9080
	// relayHost is added to a member's slot: the host part of its relays.
	relayHost = 100
	guardHost = 254
)

// MaxSlots bounds the members, clients' sites included in the relays' ports.
const MaxSlots = 9

// subnet is a block of loopback addresses that this lab alone uses. Every
// member has its own address, so ports never collide, neither with other
// labs nor with the kernel's choice for outgoing connections.
type subnet struct {
	prefix string
	guard  net.Listener
}

func takeSubnet() (*subnet, error) {
	var last error
	for range 100 {
		prefix := fmt.Sprintf("127.%d.%d.", 10+rand.IntN(240), 1+rand.IntN(250))
		guard, err := net.Listen("tcp", fmt.Sprintf("%s%d:%d", prefix, guardHost, peerPort))
		if err == nil {
			return &subnet{prefix, guard}, nil
		}
		last = err
	}
	return nil, errors.Join(errors.New("no block of loopback addresses is free"), last)
}

func (s *subnet) release() { _ = s.guard.Close() }

func (s *subnet) host(n int) string { return fmt.Sprintf("%s%d", s.prefix, n) }

func (s *subnet) addr(slot, port int) string { return fmt.Sprintf("%s:%d", s.host(slot), port) }

// peerRelay is where slot from dials slot to.
func (s *subnet) peerRelay(from, to int) string {
	return fmt.Sprintf("%s:%d", s.host(relayHost+to), peerPort+from)
}

// siteRelay is where the clients of a site dial slot to.
func (s *subnet) siteRelay(site, to int) string {
	return fmt.Sprintf("%s:%d", s.host(relayHost+to), wirePort+site)
}
