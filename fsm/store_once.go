// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/fsm/internal/table"

// onceStore holds what makes a request that comes again find its first result.
type onceStore struct {
	sessions table.Table[string, session]
	minted   table.Table[string, *result]
	results  table.Table[string, *result]

	byExpiry table.Index[string, string] // expiry, client result key -> key
	// known and strangers are what remembered client results cost.
	known     shares
	strangers shares
}

// Sessions are keyed by their 16 bytes.
var sessionTable = declaration[string, session]{
	schema: table.Schema[string, session]{Kind: kindSession, AppendKey: table.AppendKeyString, ReadKey: fixedKey(sessionBytes), Read: readSession},
	in:     func(v *view) *table.Table[string, session] { return &v.once.sessions },
}

// Minted results are keyed by session and sequence number.
var mintedTable = declaration[string, *result]{
	schema: table.Schema[string, *result]{Kind: kindMinted, AppendKey: table.AppendKeyString, ReadKey: fixedKey(sessionBytes + 8), Read: readResult},
	in:     func(v *view) *table.Table[string, *result] { return &v.once.minted },
}

// Client results are keyed by scope, command code and request id, see resultKey.
var resultTable = declaration[string, *result]{
	schema: table.Schema[string, *result]{Kind: kindResult, AppendKey: table.AppendKeyString, ReadKey: table.ReadKeyString, Read: readResult},
	in:     func(v *view) *table.Table[string, *result] { return &v.once.results },
	indexes: []place{
		func(v *view) table.Part { return &v.once.byExpiry },
		func(v *view) table.Part { return &v.once.known.held },
		func(v *view) table.Part { return &v.once.known.total },
		func(v *view) table.Part { return &v.once.strangers.held },
		func(v *view) table.Part { return &v.once.strangers.total },
	},
	enter: enterResult,
	leave: leaveResult,
}

func enterResult(x *txn, key string, r *result) {
	x.once.byExpiry.Put(&x.w, expiryKey(r.expires, key), key)
	held, _ := x.once.memory(&r.bearer)
	held.add(&x.w, &r.bearer, resultCost(key, r))
}

func leaveResult(x *txn, key string, r *result) {
	x.once.byExpiry.Drop(&x.w, expiryKey(r.expires, key))
	held, _ := x.once.memory(&r.bearer)
	held.add(&x.w, &r.bearer, -resultCost(key, r))
}

func putSession(x *txn, key string, s session) { sessionTable.put(x, key, s) }

func dropSession(x *txn, key string) { sessionTable.drop(x, key) }

func putMinted(x *txn, key string, r *result) { mintedTable.put(x, key, r) }

func dropMinted(x *txn, key string) { mintedTable.drop(x, key) }

func putResult(x *txn, key string, r *result) { resultTable.put(x, key, r) }

func dropResult(x *txn, key string) { resultTable.drop(x, key) }
