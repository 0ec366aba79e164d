package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

// maxBeacons bounds the table of beacons, which anybody may write to.
const maxBeacons = 4096

func decideBeaconRegister(v *view, c *call) (effect, *protocol.Error) {
	r := c.body.(*protocol.BeaconRegister)
	old, known := v.beacons.get(r.BeaconID)
	if !known && v.beacons.len() >= maxBeacons {
		return nil, protocol.Refusef(protocol.CodeLimitReached, "too many beacons (max %d); try again in a minute", maxBeacons)
	}
	return func(x *txn) any {
		// Refreshes come every 30 seconds and would flood the log.
		if !known || old.addr != r.Addr || x.meta.now-old.at > beaconTTL {
			x.begin(protocol.EventBeaconRegistered).num("beacon_id", uint64(r.BeaconID)).str("addr", r.Addr).end()
		}
		x.beacons.put(x, r.BeaconID, &beacon{addr: r.Addr, at: x.meta.now})
		return &protocol.BeaconRegisterReply{Type: "beacon_register_ok", BeaconID: r.BeaconID}
	}, nil
}

func readBeaconList(v *view, _ *call) (any, *protocol.Error) {
	reply := &protocol.BeaconListReply{Type: "beacon_list_ok", Beacons: []protocol.Beacon{}}
	v.beacons.scan(func(id uint32, b *beacon) bool {
		if v.meta.now-b.at <= beaconTTL {
			reply.Beacons = append(reply.Beacons, protocol.Beacon{ID: id, Addr: b.addr})
		}
		return true
	})
	return reply, nil
}
