// SPDX-License-Identifier: Apache-2.0

// Package share divides what several callers use together, so that a flood
// meets its own ceiling and nobody else's.
//
// There are two ideas. A Source is who is asking, as far as an address tells:
// one IPv4 address, or one IPv6 /64, which is what one customer of a network
// has. IPv6 sources lie in a wider /48, the most that one site is given, so
// that somebody with a whole site is bounded too. Parts say how much of a
// total one holder, and one wider group of holders, may have.
//
// Parts are plain arithmetic: state machines may use them. A Pool applies them
// to holders in memory. A Table remembers one value per source, in bounded
// memory, and forgets nothing early that still matters.
//
// Promise: standard library only; no clock, no goroutine, and no result depends
// on the order of a map. Sources, Parts and Pools say the same everywhere; a
// Table is for one process. Nothing here locks: the caller does.
package share
