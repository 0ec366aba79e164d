// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// FuzzStatements: a text is at most one kind of statement, and each that is read
// says what was signed: its fields written again give the same text.
func FuzzStatements(f *testing.F) {
	for _, seed := range []string{
		"pilotbadge:v1:7:github:1700000000:0:k1:alice", "pilotenroll:v1:7:github:c0ffee:1700000000:k1",
		"pilotrecover:v1:7:AAAA:c0ffee:1700000000:n:k1", "pilotbadge:v1:07:a:1:2:k:", "pilotrecover:v1:4294967296:::0::",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read := 0
		if b, ok := protocol.ParseBadge(text); ok {
			read++
			check(t, text, b.NodeID, b.Provider, b.KID)
		}
		if e, ok := protocol.ParseEnrollment(text); ok {
			read++
			check(t, text, e.NodeID, e.Provider, e.Commitment, e.KID)
		}
		if r, ok := protocol.ParseRecovery(text); ok {
			read++
			check(t, text, r.NodeID, r.NewKey, r.Commitment, r.Nonce, r.KID)
		}
		if read > 1 || read == 1 && len(text) > protocol.MaxStatementBytes {
			t.Errorf("%q is %d statements", text, read)
		}
	})
}

func check(t *testing.T, text string, node uint32, fields ...string) {
	t.Helper()
	rest := strings.Split(text, ":")[2:]
	if rest[0] != strconv.FormatUint(uint64(node), 10) {
		t.Errorf("%q is of node %d", text, node)
	}
	for _, f := range fields {
		if f == "" || strings.ContainsAny(f, "\x00\n\x7f:") {
			t.Errorf("%q holds the field %q", text, f)
		}
	}
}
