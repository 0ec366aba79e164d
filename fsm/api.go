// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Actor is who a command acts for, as established once at the front door.
// It is what enters the log in place of credentials. Apply compares the
// generations again, so a key or token that changed in between no longer counts.
type Actor struct {
	// Node signed the request with the key of generation KeyGen; 0 when nobody did.
	Node   uint32
	KeyGen uint32
	// Token is the name of the admin or network token that was presented, with
	// its generation; empty when none was accepted.
	Token    string
	TokenGen uint32
}

// SessionID identifies one boot of one front door, which mints request ids
// (SessionID, sequence) for requests that bring none. 16 random bytes.
type SessionID [16]byte

// Envelope is one command on its way through consensus.
type Envelope struct {
	// Code is a row of protocol.Commands or, from InternalBase on, an internal kind.
	Code  protocol.Code
	Actor Actor
	// Source is the TCP source address host:port of the client, for audit.
	Source string
	// RequestID is the client's id, empty when it sent none.
	RequestID string
	// Hash identifies the client's request for RequestID: SHA-256 over command,
	// client-supplied fields and signature. Zero without a RequestID.
	Hash [32]byte
	// Session, Seq and Floor are the minted id of a command without RequestID.
	// Every Seq below Floor is settled: its outcome has been reported, and an
	// entry that still brings it is refused. Zero Session: not remembered (soft commands).
	Session SessionID
	Seq     uint64
	Floor   uint64
	// Body is the JSON encoding of the typed request, facts included, credentials excluded.
	Body []byte
}

// Seed is what an entry brings of randomness.
type Seed [16]byte

// Entry is one log entry: the commands of one group commit.
type Entry struct {
	// Time is the leader's clock in Unix milliseconds.
	Time int64
	// Term is the raft term of the leader that proposed the entry.
	Term uint64
	// Seed is random, from the member that proposed the entry: what salts in
	// the entry's events are derived from. Zero only in tests and where no
	// command of the entry can name a person.
	Seed Seed
	// Envelopes are applied in order.
	Envelopes []Envelope
}

// Result is what Apply decided about one command.
type Result struct {
	// Index is the log index at which the command was decided. For a replayed
	// result it is the index of the first decision.
	Index uint64
	// Reply is one of the protocol's reply types, or [protocol.Rendered] when
	// the decision is remembered; nil when Err is set.
	Reply any
	// Err is the decided refusal. Its outcome is rejected or not_applied, never unknown.
	Err *protocol.Error
	// Replayed is true when an earlier decision was returned.
	Replayed bool
}

// JSON is the reply without index, nil when Err is set.
func (r *Result) JSON() protocol.Rendered {
	if r.Err != nil {
		return nil
	}
	return render(r.Reply)
}

// Call is a request as the read and dry-run side of the state machine sees it.
type Call struct {
	Row     *protocol.Command
	Body    protocol.Body
	Actor   Actor
	Options protocol.Options
	Source  string
	// Relay is the configured address that reads give for nodes which can only
	// be reached through a relay; "" means a beacon.
	Relay string
	// SigError says why no signature was accepted; nil when Actor.Node is set
	// or the command is not signed.
	SigError *protocol.Error
	// AdminError says why no admin token was accepted; nil when Actor.Token is set.
	AdminError *protocol.Error
	// Hash as in Envelope.
	Hash [32]byte
}

// ReadResult is the answer of a read.
type ReadResult struct {
	// Reply is one of the protocol's reply types.
	Reply any
	// Propose is true when a read_then_write command found something to take
	// away: propose the call's Body, which Read has completed with what was read.
	Propose bool
}

// TokenKind is what a stored token is good for.
type TokenKind uint8

// Token kinds; the numbers are kept in the log.
const (
	TokenAdmin       TokenKind = 1
	TokenReplication TokenKind = 2
	TokenJoin        TokenKind = 3
)

// TokenRecord is a stored token: never the token itself, only its MAC.
type TokenRecord struct {
	Kind       TokenKind
	Name       string
	Generation uint32
	MAC        protocol.MAC
	// Expires is in Unix milliseconds of log time, 0 for never.
	Expires int64
	// NonVoter says that a member that joins with this token stays without a vote.
	NonVoter bool
}

// MemberRecord is what the cluster knows about one of its members.
type MemberRecord struct {
	ID       string `json:"id"`
	Peer     string `json:"peer"`
	Wire     string `json:"wire"`
	Ops      string `json:"ops,omitempty"`
	Version  string `json:"version"`
	LevelMin uint32 `json:"level_min"`
	LevelMax uint32 `json:"level_max"`
	// Keys are the keyring versions the member holds, ascending. A record made
	// by the member itself names some; the one made while it joins names none.
	Keys []uint32 `json:"keys,omitempty"`
	// NonVoter: the join token let this member in without a vote. What the
	// member says of it later does not count.
	NonVoter bool `json:"nonvoter,omitempty"`
}

// Sealed is a secret that has to be read back, see [protocol.Sealed].
type Sealed = protocol.Sealed

// InternalBase is the first code of the internal kinds, which only members propose.
const InternalBase protocol.Code = 0x8000

// Internal kinds. Append-only, frozen from feature level 1: a new leader's
// automatic writes must be understood by every member.
const (
	// KindTermStart is a new leader's first entry; body TermStart.
	KindTermStart = InternalBase + iota
	// KindTick moves log time on an idle cluster; empty body.
	KindTick
	// KindClusterInit is the first entry of a cluster; body ClusterInit.
	KindClusterInit
	// KindMemberHello records a member's addresses and levels; body MemberRecord.
	KindMemberHello
	// KindMemberForget removes a member's record; body MemberForget.
	KindMemberForget
	// KindRaiseLevel raises the feature level by compare-and-set; body RaiseLevel.
	KindRaiseLevel
	// KindPutToken stores a token record; body PutToken.
	KindPutToken
	// KindSpendToken binds a join token to the member that uses it; body SpendToken.
	KindSpendToken
	// KindPutSealed stores an encrypted secret; body PutSealed.
	KindPutSealed
	// KindSweep is a leader's proposal of what time has overtaken; body Sweep.
	KindSweep
	// KindCheckpoint asks every member to remember its digest at this index; empty body.
	KindCheckpoint
	// KindActivateKey makes a keyring version the one to use; body ActivateKey.
	KindActivateKey
	// KindAuditNote records what a front door saw and refused; body AuditNote.
	KindAuditNote

	// KindSinkProgress is what a leader has delivered to a sink; body SinkProgress.
	KindSinkProgress
	// KindResealSink encrypts a sink's secret again; body ResealSink.
	KindResealSink
	// KindPutJWKS stores the identity provider's keys; body PutJWKS.
	KindPutJWKS
	// KindCountRequests adds what a member has answered; body CountRequests.
	KindCountRequests
	// KindLeadershipTransferred records that leadership was handed over because
	// somebody asked for it; body LeadershipTransferred.
	KindLeadershipTransferred
	// KindMemberPromoted records that a member was given a vote because
	// somebody asked for it; body MemberPromoted.
	KindMemberPromoted
)

// KindLast is the newest internal kind this version knows.
const KindLast = KindMemberPromoted

// kindLevels are the feature levels of internal kinds that came after the first.
var kindLevels = map[protocol.Code]uint32{}

// KindSince is the feature level from which an internal kind may be proposed.
func KindSince(code protocol.Code) uint32 {
	if level, later := kindLevels[code]; later {
		return level
	}
	return LevelMin
}

// TermStart is the body of KindTermStart.
type TermStart struct {
	Term     uint64 `json:"term"`
	LeaderID string `json:"leader_id"`
	Version  string `json:"version"`
}

// ClusterInit is the body of KindClusterInit. It is refused when the state
// already has a cluster id.
type ClusterInit struct {
	ClusterID string `json:"cluster_id"`
	Level     uint32 `json:"level"`
}

// MemberForget is the body of KindMemberForget.
type MemberForget struct {
	ID string `json:"id"`
}

// RaiseLevel is the body of KindRaiseLevel; To must be From+1 and supported by every member record.
type RaiseLevel struct {
	From uint32 `json:"from"`
	To   uint32 `json:"to"`
	Term uint64 `json:"term"`
}

// PutToken is the body of KindPutToken. OnlyIfAbsent makes seeding idempotent.
type PutToken struct {
	Kind         TokenKind    `json:"kind"`
	Name         string       `json:"name"`
	MAC          protocol.MAC `json:"mac"`
	ExpiresInMS  int64        `json:"expires_in_ms,omitempty"`
	NonVoter     bool         `json:"nonvoter,omitempty"`
	OnlyIfAbsent bool         `json:"only_if_absent,omitempty"`
}

// SpendToken is the body of KindSpendToken: it succeeds for exactly one member
// with one key while the token exists and has not expired. A repeated call by
// the same succeeds again, until the member has announced itself or is removed.
type SpendToken struct {
	Name     string `json:"name"`
	MemberID string `json:"member_id"`
	// Key is the SHA-256 of the public key that the certificate is for.
	Key []byte `json:"key"`
}

// PutSealed is the body of KindPutSealed.
type PutSealed struct {
	Name         string `json:"name"`
	Sealed       Sealed `json:"sealed"`
	Public       []byte `json:"public,omitempty"`
	OnlyIfAbsent bool   `json:"only_if_absent,omitempty"`
}

// Sweep is the body of KindSweep. Apply re-checks every id against log time
// and refuses the whole when Term is not the newest term.
type Sweep struct {
	Term     uint64   `json:"term"`
	Offline  []uint32 `json:"offline,omitempty"`
	Release  []uint32 `json:"release,omitempty"`
	Beacons  []uint32 `json:"beacons,omitempty"`
	Sessions bool     `json:"sessions,omitempty"`
	// Due is how many deadlines have come: ends of memberships, roles and
	// invites, and notices of ends. Apply processes that many, earliest first.
	Due int `json:"due,omitempty"`
}

// ActivateKey is the body of KindActivateKey.
type ActivateKey struct {
	Key  uint32 `json:"key"`
	Term uint64 `json:"term"`
	// AskedAt is the member that was asked for it.
	AskedAt string `json:"asked_at,omitempty"`
}

// LeadershipTransferred is the body of KindLeadershipTransferred.
type LeadershipTransferred struct {
	From    string `json:"from"`
	To      string `json:"to"`
	AskedAt string `json:"asked_at"`
}

// MemberPromoted is the body of KindMemberPromoted.
type MemberPromoted struct {
	MemberID string `json:"member_id"`
	AskedAt  string `json:"asked_at"`
}

// AuditNote is the body of KindAuditNote: counts of refusals by command and code.
type AuditNote struct {
	Term  uint64            `json:"term"`
	Notes map[string]uint64 `json:"notes"`
}

// HaltError says that this binary must not continue: the log holds an entry
// it does not understand. The state is unchanged.
type HaltError struct {
	Index  uint64
	Reason string
}

// Error explains what to do.
func (e *HaltError) Error() string { return e.Reason }
