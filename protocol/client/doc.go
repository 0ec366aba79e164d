// SPDX-License-Identifier: Apache-2.0

// Package client is the Go SDK of the Pilot registry.
//
//	id, err := client.LoadIdentity(path)
//	c, err := client.Open(client.Options{Addrs: []string{"10.0.0.1:9000", "10.0.0.2:9000"}, Identity: id})
//	reply, err := c.SetHostname(ctx, id.NodeID(), "alpha")
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
