// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/fsm/internal/table"

// uploadStore holds uploads that wait for parts, and pages of long replies.
type uploadStore struct {
	records table.Table[string, *staged]
	bytes   table.Value[int64] // what they cost together
}

var stagedTable = declaration[string, *staged]{
	schema: table.Schema[string, *staged]{Kind: kindStaged, AppendKey: table.AppendKeyString, ReadKey: readStagedKey, Read: readStaged},
	in:     func(v *view) *table.Table[string, *staged] { return &v.uploads.records },
	indexes: []place{
		func(v *view) table.Part { return &v.uploads.bytes },
	},
	enter: enterStaged,
	leave: leaveStaged,
}

func enterStaged(x *txn, key string, s *staged) {
	x.uploads.bytes.Set(&x.w, x.uploads.bytes.Get()+stagedCost(key, s))
	if k := stagedDue(key, s); k != "" {
		x.due.Put(&x.w, k, nothing{})
	}
}

func leaveStaged(x *txn, key string, s *staged) {
	x.uploads.bytes.Set(&x.w, x.uploads.bytes.Get()-stagedCost(key, s))
	if k := stagedDue(key, s); k != "" {
		x.due.Drop(&x.w, k)
	}
}

func (x *txn) putStaged(key string, s *staged) { stagedTable.put(x, key, s) }

func (x *txn) dropStaged(key string) { stagedTable.drop(x, key) }
