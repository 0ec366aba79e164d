// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/fsm/internal/table"

// beaconStore holds the beacons.
type beaconStore struct {
	records table.Table[uint32, *beacon]

	// bytes is what the beacons take in their list; revision changes with the
	// list, cache holds it as it is sent.
	bytes    shares
	revision table.Value[uint64]
	cache    table.Value[*beaconCache]
}

var beaconTable = declaration[uint32, *beacon]{
	schema: table.Schema[uint32, *beacon]{Kind: kindBeacon, AppendKey: table.AppendKey32, ReadKey: table.ReadKey32, Read: readBeacon},
	in:     func(v *view) *table.Table[uint32, *beacon] { return &v.beacons.records },
	indexes: []place{
		func(v *view) table.Part { return &v.beacons.bytes.held },
		func(v *view) table.Part { return &v.beacons.bytes.total },
		func(v *view) table.Part { return &v.beacons.revision },
		func(v *view) table.Part { return &v.beacons.cache },
	},
	enter: func(x *txn, _ uint32, b *beacon) { x.beacons.bytes.add(&x.w, &b.bearer, beaconCost(b.addr)) },
	leave: func(x *txn, _ uint32, b *beacon) { x.beacons.bytes.add(&x.w, &b.bearer, -beaconCost(b.addr)) },
}

func (x *txn) putBeacon(id uint32, b *beacon) { beaconTable.put(x, id, b) }

func (x *txn) dropBeacon(id uint32) {
	beaconTable.drop(x, id)
	beaconListChanged(x)
}

// beaconListChanged makes the lists that were sent so far outdated.
func beaconListChanged(x *txn) { x.beacons.revision.Set(&x.w, x.beacons.revision.Get()+1) }
