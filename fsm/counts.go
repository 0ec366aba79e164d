// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Count names a number of changes since the cluster began to count them, which
// is when it reached [protocol.LevelCounts]. A command that changes nothing
// adds nothing. The order is that of the state's own record: a count that is
// added goes to the end and needs a level of its own.
type Count uint8

// The counts.
const (
	CountRegistrations Count = iota
	CountDeregistrations
	CountTrustReports
	CountTrustRevocations
	CountHandshakeRequests
	CountInvitesSent
	CountInvitesAccepted
	CountInvitesRejected
	CountKicks
	CountPromotions
	CountDemotions
	CountTransfers
	CountPolicyChanges
	CountKeyRotations
	CountProvisions
	CountExportErrors
	CountPreAssigned

	numCounts
)

// counts are the numbers, by [Count].
type counts [numCounts]uint64

func (c *counts) appendTo(dst []byte, level uint32) []byte {
	if level < protocol.LevelCounts {
		return dst
	}
	for _, n := range c {
		dst = table.AppendUvarint(dst, n)
	}
	return dst
}

func readCounts(d *table.Decoder, level uint32) (c counts) {
	if level < protocol.LevelCounts {
		return c
	}
	for i := range c {
		c[i] = d.Uvarint()
	}
	return c
}

// count notes changes. Below the level the record has no place for them.
func (x *txn) count(c Count, changes uint64) {
	if x.meta.level >= protocol.LevelCounts {
		x.meta.counts[c] += changes
	}
}

// Count is how many changes there have been; ok is false when the cluster does
// not count yet.
func (r *Root) Count(c Count) (changes uint64, ok bool) {
	return r.meta.counts[c], r.meta.level >= protocol.LevelCounts
}
