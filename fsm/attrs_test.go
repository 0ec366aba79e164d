// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Receivers that see typed values see the type that the state machine wrote.
func TestAttributesHaveTheirTypes(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`\)\.\s*(num|int|bool)\("([a-z_]+)"`)
	found := 0
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllStringSubmatch(string(src), -1) {
			found++
			value := "7"
			if m[1] == "bool" {
				value = "true"
			}
			if _, text := (protocol.AuditAttr{Key: m[2], Value: value}).AttrValue().(string); text {
				t.Errorf("%s: %s is written as %s and shown as a text: add it to the attribute lists in protocol/auditlog.go", f, m[2], m[1])
			}
		}
	}
	if found < 20 {
		t.Fatalf("only %d attributes found: the search is broken", found)
	}
}
