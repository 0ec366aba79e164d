// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// publicVerifier has the keys of the public verifier of accounts.
func publicVerifier() *identity.Verifier {
	v, err := identity.NewVerifier(identity.DefaultBadgeIssuers, identity.DefaultRecoveryKeys)
	if err != nil { // they are constants
		panic(err)
	}
	return v
}

// checkStatements verifies what a verifier of accounts has signed.
func (g *Gateway) checkStatements(body protocol.Body) {
	switch b := body.(type) {
	case *protocol.SubmitBadge:
		b.SetProblem(g.policy.Verifier.CheckBadge(b.Badge, b.BadgeSig))
	case *protocol.EnrollRecovery:
		b.SetProblem(g.policy.Verifier.CheckEnrollment(b.Enrollment, b.EnrollmentSig))
	case *protocol.RecoverIdentity:
		b.SetProblem(g.policy.Verifier.CheckRecovery(b.Recovery, b.RecoverySig))
	}
}
