// SPDX-License-Identifier: Apache-2.0

//go:build !nextver

package audit

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

var actionRow = regexp.MustCompile("(?m)^\\| `([a-z_]+\\.[a-z_]+)` \\| ([a-z]+) \\|")

// The table of actions has every action with its class, and no other.
func TestDocListsActions(t *testing.T) {
	doc, err := os.ReadFile("../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range actionRow.FindAllStringSubmatch(string(doc), -1) {
		action, class := m[1], m[2]
		if known, ok := protocol.Events[action]; !ok || known.String() != class {
			t.Errorf("docs/audit.md has %s in class %s, which is not so", action, class)
		}
		if listed[action] {
			t.Errorf("docs/audit.md has %s twice", action)
		}
		listed[action] = true
	}
	for action := range protocol.Events {
		if !listed[action] {
			t.Errorf("docs/audit.md does not have %s", action)
		}
	}
}

// The samples are what the renderers make of one event.
func TestDocSamples(t *testing.T) {
	doc, err := os.ReadFile("../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	e := kicked()
	for _, sample := range map[string][]byte{
		"JSON": JSON(e), "HEC": HEC(e, "", "pilot_audit"), "CEF": CEF(e), "syslog": Syslog(e, "reg-1")[:60], "webhook": Webhook(e),
	} {
		if !strings.Contains(string(doc), "\n"+string(sample)) {
			t.Errorf("docs/audit.md has no line %s", sample)
		}
	}
}
