// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"github.com/pilotregistry/pilotregistry/identity"
)

// publicVerifier has the keys of the public verifier of accounts.
func publicVerifier() *identity.Verifier {
	v, err := identity.NewVerifier(identity.DefaultBadgeIssuers, identity.DefaultRecoveryKeys)
	if err != nil { // they are constants
		panic(err)
	}
	return v
}
