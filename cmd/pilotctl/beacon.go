// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strconv"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/spf13/cobra"
)

func beaconCommand(a *app) *cobra.Command {
	register := wireCommand(a, "register <id> <address>", "beacon_register", exactly(2), func(s *session, args []string) (protocol.Body, error) {
		id, err := strconv.ParseUint(args[0], 10, 32)
		if err != nil || id == 0 {
			return nil, usagef(s.cmd, "invalid beacon id %q: want a number from 1 to 4294967295", args[0])
		}
		return &protocol.BeaconRegister{BeaconID: uint32(id), Addr: args[1], NodeID: s.ownNode()}, nil
	})
	return groupCommand("beacon", "announce and list beacons", register, wireCommand(a, "list", "beacon_list", exactly(0), nil))
}
