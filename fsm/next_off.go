// SPDX-License-Identifier: Apache-2.0

//go:build !nextver

package fsm

import "github.com/pilotregistry/pilotregistry/protocol"

// LevelMax is the newest feature level this version understands.
const LevelMax = protocol.LevelFirst

// What follows is where the synthetic next version (build tag nextver), with
// which upgrades are tested, differs from this one: a field of the node
// record, a table, and the handler of a command. Here there is nothing.

type nextFields struct{}

func (nextFields) appendTo(dst []byte, _ uint32) []byte { return dst }

func (nextFields) read(*decoder, uint32) {}

func (nextFields) trim(uint32) {}

func (nextFields) lookup() protocol.LookupNext { return protocol.LookupNext{} }

type nextTables struct{}

func newNextTables() nextTables { return nextTables{} }

func (nextTables) tables() []stored { return nil }

func (nextTables) handOver(*nextTables) {}

func withNext(h map[string]handler) map[string]handler { return h }

func withNextLoaders(l map[kind]func(*txn, *decoder, uint32) bool) map[kind]func(*txn, *decoder, uint32) bool {
	return l
}
