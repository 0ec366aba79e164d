// SPDX-License-Identifier: Apache-2.0

//go:build !nextver

package fsm

import (
	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// LevelMax is the newest feature level this version understands.
const LevelMax = protocol.LevelCounts

// What follows is where the synthetic next version (build tag nextver), with
// which upgrades are tested, differs from this one: a field of the node
// record, a table, and the handler of a command. Here there is nothing.

type nextFields struct{}

func (nextFields) AppendTo(dst []byte, _ uint32) []byte { return dst }

func (nextFields) read(*table.Decoder, uint32) {}

func (nextFields) trim(uint32) {}

func (nextFields) lookup() protocol.LookupNext { return protocol.LookupNext{} }

type nextParts struct{}

var _ = view{}.next // only the next version has something there

var nextTables []declared

func withNext(h map[string]handler) map[string]handler { return h }
