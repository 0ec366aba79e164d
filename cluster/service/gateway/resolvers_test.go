// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"os"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// A command without a row here, or with one that forgets something, would put a
// secret to no use, call an unchecked address, or take a stranger for a role.
func TestEveryCommandHasItsResolver(t *testing.T) {
	for i := range protocol.Commands {
		row := &protocol.Commands[i]
		r, known := resolvers[row.Name]
		if !known {
			t.Errorf("%s has no row in resolvers", row.Name)
			continue
		}
		body := row.New()
		_, role := body.(protocol.RoleBody)
		_, calls := body.(protocol.TargetBody)
		_, seals := body.(protocol.SealBody)
		_, ids := body.(protocol.IDBody)
		_, forms := body.(protocol.FormsBody)
		if got, want := [4]bool{r.role, r.calls, r.seals, r.names}, [4]bool{role, calls, seals, ids || forms}; got != want {
			t.Errorf("%s: role, calls, seals, names are %v; its request wants %v", row.Name, got, want)
		}
		if _, judged := body.(interface{ SetProblem(*protocol.Error) }); judged && r.facts == nil {
			t.Errorf("%s: nothing looks at what the front door has to look at", row.Name)
		}
	}
	for name := range resolvers {
		if protocol.ByName(name) == nil {
			t.Errorf("%s is not a command", name)
		}
	}
}

func TestWhoAddsACommandIsToldOfItsResolver(t *testing.T) {
	guide, err := os.ReadFile("../../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(guide), "`cluster/service/gateway/resolvers.go`") {
		t.Error("CONTRIBUTING.md does not name the table of resolvers")
	}
}
