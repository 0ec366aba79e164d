// SPDX-License-Identifier: Apache-2.0

// Package client is the Go SDK of the Pilot registry.
//
//	c, err := client.New([]string{"10.0.0.1:9000", "10.0.0.2:9000"}, client.WithIdentityFile("node.json"))
//	reply, err := c.Register(ctx, protocol.Register{ListenAddr: ":4000", Hostname: "alpha"})
//
// The methods of [Client] are the commands of the protocol. [Client.KeepAlive]
// keeps a node online; the Watch methods follow nodes, networks, invites and
// the audit log.
//
// Promise: every member answers every command, so a client takes any address
// that works and moves on when it stops working. A write carries a request id
// and has one effect however often it had to be sent. An error says honestly
// whether the request was rejected, was not applied, or has an unknown outcome
// ([Error], [ErrOutcomeUnknown]). A client sees its own writes through every
// member.
//
// Non-goals: it caches nothing, keeps no state on disk except identity files,
// and does not discover members by itself. It imports the standard library and
// the protocol package only.
package client
