// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	keyBytes = 32
	format   = 1
)

// Version is one generation of keys.
type version struct {
	ID   uint32 `json:"id"`
	AEAD []byte `json:"aead"`
	HMAC []byte `json:"hmac"`
}

type document struct {
	Format   int       `json:"format"`
	Versions []version `json:"versions"`
	WireCert []byte    `json:"wire_cert,omitempty"`
	WireKey  []byte    `json:"wire_key,omitempty"`
}

// Keyring is safe for use by several goroutines.
type Keyring struct {
	path string

	mu  sync.RWMutex
	doc document
}

// ErrNoVersion says that this member does not hold the wanted key version.
var ErrNoVersion = errors.New("the keyring does not hold this key version")

// Create makes a keyring with one version and writes it to path.
func Create(path string) (*Keyring, error) {
	v, err := newVersion(1)
	if err != nil {
		return nil, err
	}
	k := &Keyring{path: path, doc: document{Format: format, Versions: []version{v}}}
	return k, k.save()
}

// Open reads a keyring. It refuses a file that others can read.
func Open(path string) (*Keyring, error) {
	raw, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	return parse(path, raw)
}

// Import writes what another member exported to path.
func Import(path string, exported []byte) (*Keyring, error) {
	k, err := parse(path, exported)
	if err != nil {
		return nil, err
	}
	return k, k.save()
}

// Export renders the whole keyring, keys included. The result is secret.
func (k *Keyring) Export() []byte {
	k.mu.RLock()
	defer k.mu.RUnlock()
	raw, err := json.Marshal(k.doc)
	if err != nil { // byte slices and integers always encode
		panic(err)
	}
	return raw
}

// Versions lists the key versions held, ascending.
func (k *Keyring) Versions() []uint32 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	ids := make([]uint32, 0, len(k.doc.Versions))
	for _, v := range k.doc.Versions {
		ids = append(ids, v.ID)
	}
	return ids
}

// Latest is the highest version held.
func (k *Keyring) Latest() uint32 {
	ids := k.Versions()
	return ids[len(ids)-1]
}

// Add mints the next version, writes the file and returns the version's number.
func (k *Keyring) Add() (uint32, error) {
	id := k.Latest() + 1
	v, err := newVersion(id)
	if err != nil {
		return 0, err
	}
	k.mu.Lock()
	k.doc.Versions = append(k.doc.Versions, v)
	k.mu.Unlock()
	return id, k.save()
}

// Merge takes over the versions of an exported keyring and writes the file.
// Versions up to active must be the ones held here. A later one was never in
// force: it is replaced, since a rotation that stopped half way may have left a
// key that nobody else has.
func (k *Keyring) Merge(exported []byte, active uint32) error {
	other, err := parse("of another member", exported)
	if err != nil {
		return err
	}
	k.mu.Lock()
	kept := slices.DeleteFunc(slices.Clone(k.doc.Versions), func(v version) bool { return v.ID > active })
	for _, v := range other.doc.Versions {
		at := slices.IndexFunc(kept, func(have version) bool { return have.ID == v.ID })
		switch {
		case at < 0:
			kept = append(kept, v)
		case !bytes.Equal(kept[at].AEAD, v.AEAD) || !bytes.Equal(kept[at].HMAC, v.HMAC):
			k.mu.Unlock()
			return fmt.Errorf("keyring %s: version %d is in force and has other keys than the one handed out", k.path, v.ID)
		}
	}
	slices.SortFunc(kept, func(a, b version) int { return cmp.Compare(a.ID, b.ID) })
	k.doc.Versions = kept
	k.mu.Unlock()
	return k.save()
}

// MAC is the keyed hash that stands for a secret of the given purpose.
func (k *Keyring) MAC(id uint32, purpose, secret string) (protocol.MAC, error) {
	v, err := k.find(id)
	if err != nil {
		return protocol.MAC{}, err
	}
	h := hmac.New(sha256.New, v.HMAC)
	h.Write([]byte(purpose))
	h.Write([]byte{0})
	h.Write([]byte(secret))
	return protocol.MAC{Key: id, Sum: h.Sum(nil)}, nil
}

// Verify reports in constant time whether mac stands for the secret.
func (k *Keyring) Verify(mac protocol.MAC, purpose, secret string) bool {
	got, err := k.MAC(mac.Key, purpose, secret)
	return err == nil && len(mac.Sum) > 0 && subtle.ConstantTimeCompare(got.Sum, mac.Sum) == 1
}

// Seal encrypts plaintext under a version, bound to its place aad (object and field).
func (k *Keyring) Seal(id uint32, aad string, plaintext []byte) (fsm.Sealed, error) {
	aead, err := k.aead(id)
	if err != nil {
		return fsm.Sealed{}, err
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return fsm.Sealed{}, err
	}
	return fsm.Sealed{Key: id, Nonce: nonce, Ciphertext: aead.Seal(nil, nonce, plaintext, []byte(aad))}, nil
}

// Unseal decrypts what Seal made for the same place.
func (k *Keyring) Unseal(s fsm.Sealed, aad string) ([]byte, error) {
	aead, err := k.aead(s.Key)
	if err != nil {
		return nil, err
	}
	if len(s.Nonce) != aead.NonceSize() {
		return nil, fmt.Errorf("unseal %s: invalid nonce of %d bytes", aad, len(s.Nonce))
	}
	plain, err := aead.Open(nil, s.Nonce, s.Ciphertext, []byte(aad))
	if err != nil {
		return nil, fmt.Errorf("unseal %s: the ciphertext was not made with version %d of this keyring for this place", aad, s.Key)
	}
	return plain, nil
}

// WireCert returns the cluster's self-signed wire certificate and key as PEM; empty when none was set.
func (k *Keyring) WireCert() (certPEM, keyPEM []byte) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return slices.Clone(k.doc.WireCert), slices.Clone(k.doc.WireKey)
}

// SetWireCert stores the cluster's wire certificate and writes the file.
func (k *Keyring) SetWireCert(certPEM, keyPEM []byte) error {
	k.mu.Lock()
	k.doc.WireCert, k.doc.WireKey = slices.Clone(certPEM), slices.Clone(keyPEM)
	k.mu.Unlock()
	return k.save()
}

func (k *Keyring) find(id uint32) (version, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, v := range k.doc.Versions {
		if v.ID == id {
			return v, nil
		}
	}
	return version{}, fmt.Errorf("%w: %d", ErrNoVersion, id)
}

func (k *Keyring) aead(id uint32) (cipher.AEAD, error) {
	v, err := k.find(id)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(v.AEAD)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func newVersion(id uint32) (version, error) {
	keys := make([]byte, 2*keyBytes)
	if _, err := rand.Read(keys); err != nil {
		return version{}, err
	}
	return version{ID: id, AEAD: keys[:keyBytes:keyBytes], HMAC: keys[keyBytes:]}, nil
}

func parse(path string, raw []byte) (*Keyring, error) {
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		// The decoder's own text could quote key material.
		return nil, fmt.Errorf("keyring %s: not a keyring file", path)
	}
	if d.Format != format || len(d.Versions) == 0 {
		return nil, fmt.Errorf("keyring %s: format %d with %d versions is not understood by this version", path, d.Format, len(d.Versions))
	}
	last := uint32(0)
	for _, v := range d.Versions {
		if v.ID <= last || len(v.AEAD) != keyBytes || len(v.HMAC) != keyBytes {
			return nil, fmt.Errorf("keyring %s: damaged at version %d", path, v.ID)
		}
		last = v.ID
	}
	return &Keyring{path: path, doc: d}, nil
}
