// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// What is wrong, and what to do, is said on every page: with nothing in the
// registry, with a member that is dead, and without a quorum, when pages are
// stale and nothing can be changed.
func TestConsoleStates(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{NeverRestart: true})
	ready, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	leader, ok := ready.LeaderNode()
	if !ok {
		t.Fatal("nobody leads")
	}
	others := slices.DeleteFunc(slices.Clone(ready.Nodes), func(m harness.Member) bool { return m.ID == leader.ID })
	b := newBrowser(t, "http://"+leader.Ops)
	b.login(c.AdminToken)
	for page, want := range map[string]string{"/nodes": "pilotctl register", "/networks": "Create a network", "/trust": "pilotctl handshake request", "/delivery": "Dead letters", "/identity": "pilotctl idp set"} {
		b.open(page)
		b.see("main", want)
		b.look("empty" + page)
	}
	if bad := b.complaints(); len(bad) > 0 {
		t.Errorf("%v", bad)
	}
	kill := func(m harness.Member) {
		if err := syscall.Kill(m.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	b.open("/cluster")
	kill(others[0])
	b.see(`[data-live="word"]`, "a voter does not answer") // without a reload
	b.open("/cluster")
	b.see("main", "What to do")
	b.see("main tbody", "does not answer")
	b.look("/cluster?dead")
	kill(others[1])
	b.see(`[data-live="word"]`, "no leader")
	for _, page := range []string{"/cluster", "/nodes", "/networks"} {
		b.open(page)
		b.see("header", "no leader")
		if page != "/cluster" {
			b.see(`main [role="alert"]`, "Stale.")
		}
		b.look(page + "?noquorum")
	}
	b.complaints()
	b.open("/do/create-network")
	value[int](b, fmt.Sprintf(`document.querySelector("[name=name]").value = "late"; document.querySelector("[name=node]").value = %q; document.querySelector("form.form").requestSubmit();0`, "1"))
	b.see("main", "no leader")
	b.shoot("plan-noquorum")
}
