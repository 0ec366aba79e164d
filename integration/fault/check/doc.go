// SPDX-License-Identifier: Apache-2.0

// Package check judges histories of a cluster under test, with two checkers
// that do not trust each other.
//
// The replay checker takes the committed log off the members' disks, applies
// it to a fresh state machine, and holds every reply against it: an
// acknowledged write stands in the log exactly once, at the index it was
// acknowledged with; what was reported as failed does not; a read shows the
// state of the index it names; indexes respect real time. It is linear in the
// history, so it looks at everything, but it believes the registry's own state
// machine and indexes.
//
// The porcupine checker believes neither. It searches, key by key, for an order
// that explains the replies under small models written down here, an operation
// of unknown outcome being open until the end. That is exponential in the worst
// case: keys are short, and running out of time counts as a violation.
//
// Promise: a violation is reported only when no correct registry could have
// behaved so; what could not be looked at is counted, not passed over.
//
// Non-goals: it runs no cluster, and does not judge how fast one recovers.
package check
