// SPDX-License-Identifier: Apache-2.0

package jwks

import (
	"encoding/json"
	"errors"

	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
)

// sealName is the associated data of a sealed key set.
const sealName = "jwks"

// document is the replicated form of a key set that holds a shared secret. Any
// other set is replicated as it is: {"keys":[…]}.
type document struct {
	Sealed *fsm.Sealed `json:"sealed,omitempty"`
}

// open returns the key set document, and under which version of the keyring it
// is sealed, 0 when it is not.
func open(doc []byte, ring *keyring.Keyring) (plain []byte, version uint32, err error) {
	var d document
	if err := json.Unmarshal(doc, &d); err != nil {
		return nil, 0, errors.New("the stored key set cannot be read")
	}
	if d.Sealed == nil {
		return doc, 0, nil
	}
	plain, err = ring.Unseal(*d.Sealed, sealName)
	return plain, d.Sealed.Key, err
}

// Decode reads a replicated key set. leftOut are the keys of the provider that
// are not in it, so that a token of one of them is refused with the reason.
func Decode(doc []byte, ring *keyring.Keyring, allowHS256 bool, leftOut []fsm.LeftOut) (*identity.KeySet, error) {
	plain, _, err := open(doc, ring)
	if err != nil {
		return nil, err
	}
	set, err := identity.ParseJWKS(plain, allowHS256)
	if err != nil {
		return nil, err
	}
	for _, l := range leftOut {
		set.LeftOut = append(set.LeftOut, identity.LeftOut(l))
	}
	return set, nil
}

// encode renders a key set for the log. When it is what is stored already, it
// returns what is stored, so that unchanged keys do not change the state.
func encode(set *identity.KeySet, root *fsm.Root, ring *keyring.Keyring) ([]byte, error) {
	plain, err := set.Encode()
	if err != nil {
		return nil, err
	}
	seal := uint32(0)
	if set.Secret() {
		seal = root.ActiveKey()
	}
	if old, _, ok := root.JWKS(); ok {
		if known, version, err := open(old, ring); err == nil && version == seal && string(known) == string(plain) {
			return old, nil
		}
	}
	if seal == 0 {
		return plain, nil
	}
	sealed, err := ring.Seal(seal, sealName, plain)
	if err != nil {
		return nil, err
	}
	return json.Marshal(document{Sealed: &sealed})
}
