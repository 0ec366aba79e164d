// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/fsm/internal/table"

// The kinds of records, which say what table a record belongs to. The numbers
// are part of digests and snapshots: append-only, never reused.
const (
	kindMeta          table.Kind = 1
	kindNode          table.Kind = 2
	kindSeen          table.Kind = 3
	kindNetwork       table.Kind = 4
	kindMembership    table.Kind = 5
	kindTrust         table.Kind = 6
	kindRequest       table.Kind = 7
	kindResponse      table.Kind = 8
	kindBeacon        table.Kind = 9
	kindToken         table.Kind = 10
	kindSealed        table.Kind = 11
	kindClusterMember table.Kind = 12
	kindSession       table.Kind = 13
	kindMinted        table.Kind = 14
	kindResult        table.Kind = 15
	kindSecurity      table.Kind = 16
	kindActivity      table.Kind = 17
	kindBlocked       table.Kind = 18
	kindInvite        table.Kind = 20
	kindPreAssign     table.Kind = 21
	kindCursor        table.Kind = 19
	kindSettings      table.Kind = 22
	kindStaged        table.Kind = 23
	kindSink          table.Kind = 24
	kindLetter        table.Kind = 25
	kindJWKS          table.Kind = 26
	kindMemberTag     table.Kind = 27
	kindNetDocs       table.Kind = 28
	kindRejected      table.Kind = 29
	kindProvenKey     table.Kind = 30
	kindSinkTotals    table.Kind = 31
)
