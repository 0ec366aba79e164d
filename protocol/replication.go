// SPDX-License-Identifier: Apache-2.0

package protocol

// replicationCommands are the rows of commands.go about this subject.
var replicationCommands = []Command{
	{Code: 60, Name: "subscribe_replication", Group: GroupReplication, Page: PageReplication, Auth: AuthReplication, Mode: ModeStream,
		newBody: body[SubscribeReplication](), Doc: "stream the registry's state"},
}

// SubscribeReplication opens the one-way stream of snapshots.
type SubscribeReplication struct {
	Token  Secret `json:"-" wire:"token" read:"deferred"`
	Deltas bool   `json:"deltas,omitempty"`
}

// Validate accepts everything: the token is compared later.
func (*SubscribeReplication) Validate() *Error { return nil }
