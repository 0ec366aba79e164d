// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Step is one of the checks that a token goes through.
type Step struct {
	Name string
	// Problem is why the check fails, "" when it passes.
	Problem string
	// Skipped says that there was nothing to check it with.
	Skipped bool
}

// Explain puts a token through every check of [Validate] and says of each what
// came of it, also after one that fails. A token is good when all pass.
func Explain(p Provider, secret protocol.Secret, keys *KeySet, now time.Time) []Step {
	t, e := parseToken(secret)
	if e != nil {
		return []Step{{Name: "form", Problem: e.Text}}
	}
	steps := []Step{{Name: "form"}}
	for _, check := range claimChecks {
		steps = append(steps, Step{Name: check.name, Problem: check.of(&t.claims, p, now)})
	}
	key, e := t.chooseKey(p, keys)
	if e != nil {
		steps = append(steps, Step{Name: "key", Problem: e.Text}, Step{Name: "signature", Skipped: true})
	} else {
		steps = append(steps, Step{Name: "key"}, Step{Name: "signature", Problem: t.verify(key)})
	}
	v := Verdict{Subject: t.claims.Subject}
	reason := t.readClaims(p, &v)
	if reason == "" {
		reason = v.nobody()
	}
	return append(steps, Step{Name: "person and roles", Problem: reason})
}
