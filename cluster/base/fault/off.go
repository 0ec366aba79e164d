// SPDX-License-Identifier: Apache-2.0

//go:build !faults

package fault

import "time"

// Enabled says whether this binary can be made to fail.
const Enabled = false

// Hit marks a point as reached and does there what a test has ordered.
func Hit(Point) {}

// Err is Hit for points where an error of the disk can be ordered.
func Err(Point) error { return nil }

// Offset is added to the wall clock.
func Offset() time.Duration { return 0 }

// Route is the address to dial instead of a peer's own.
func Route(addr string) string { return addr }

// Journal notes an entry that is about to be stored.
func Journal(index, term uint64, kind uint8, data []byte) {}

// OnStand says how this member becomes a candidate when a test orders it.
func OnStand(func()) {}

// Serve starts the control socket.
func Serve() error { return nil }
