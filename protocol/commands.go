// SPDX-License-Identifier: Apache-2.0

package protocol

import "slices"

func body[T any, P interface {
	*T
	Body
}]() func() Body {
	return func() Body { return P(new(T)) }
}

func reply[T any]() func() any { return func() any { return new(T) } }

// Commands is the one table of wire commands, in the order of their codes.
// The rows stand in the files of their subjects. Codes are append-only; those
// up to 60 are the surface of the original registry.
var Commands = inOrder(
	registerCommands, nodeCommands, keyCommands, trustCommands, handshakeCommands, poloCommands,
	beaconCommands, networkCommands, membershipCommands, memberTagsCommands, inviteCommands,
	policyCommands, exprPolicyCommands, identityCommands, idpCommands, accountCommands, personCommands,
	directoryCommands, blueprintCommands, auditCommands, sinkCommands, webhookCommands,
	replicationCommands, clusterCommands, joinTokenCommands, settingCommands,
)

// inOrder joins the rows of all subjects.
func inOrder(subjects ...[]Command) []Command {
	rows := slices.Concat(subjects...)
	slices.SortFunc(rows, func(a, b Command) int { return int(a.Code) - int(b.Code) })
	return rows
}
