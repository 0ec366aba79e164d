// SPDX-License-Identifier: Apache-2.0

// Package cluster is the engine room of the registry: it keeps the state
// machine of package fsm the same on every member through raft, brings writes
// to the leader and answers when a read may be served.
//
// Promises. [Member.Propose] reports success only for a command that a majority
// holds and that this cluster's state machine decided; a failure says whether
// the command was not applied or whether that is unknown, and a command with a
// request id, the client's or one minted here, takes effect at most once
// whatever is retried. [Member.ReadIndex] returns an index that covers every
// write acknowledged anywhere before the call: the confirm round goes to voters
// only, carries a nonce, starts after the call, and is never replaced by a
// lease or by raft's VerifyLeader, which counts non-voters and accepts answers
// to heartbeats sent before the call. Work that only a leader may do is bound
// to its term and is over before the next term's begins. A member whose disk
// stalls, whose data is damaged or whose state diverged leaves the service
// instead of answering.
//
// Non-goals: it verifies no signature and renders no reply; who may do what is
// decided in the front door and in package fsm. It does not encrypt the log.
package cluster
