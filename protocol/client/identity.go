// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Signer proves who a request is from. Implementations may keep the key
// elsewhere (an agent, an HSM). Methods are called concurrently.
type Signer interface {
	// PublicKey is the key that the registry knows, or will know, the node by.
	PublicKey() protocol.PublicKey
	// Sign returns the 64-byte Ed25519 signature of message (RFC 8032, not pre-hashed).
	Sign(message []byte) ([]byte, error)
}

// NewSigner makes a Signer of a private key.
func NewSigner(key ed25519.PrivateKey) (Signer, error) {
	id, err := newIdentity(key)
	if err != nil {
		return nil, err
	}
	return id, nil
}

// Identity is a node's key pair with the id it is registered under. It prints
// without its private key. It is safe for concurrent use.
type Identity struct {
	key    ed25519.PrivateKey
	nodeID atomic.Uint32
	// extra holds members of the file that others put there.
	extra map[string]json.RawMessage
}

// NewIdentity makes a key pair that is not registered yet.
func NewIdentity() (*Identity, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return &Identity{key: key}, nil
}

func newIdentity(key ed25519.PrivateKey) (*Identity, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("invalid private key size: %d", len(key))
	}
	if !bytes.Equal(ed25519.NewKeyFromSeed(key.Seed()), key) {
		return nil, fmt.Errorf("%w: public key does not match private key", ErrIdentityFile)
	}
	return &Identity{key: bytes.Clone(key)}, nil
}

// PublicKey is the public half.
func (id *Identity) PublicKey() protocol.PublicKey {
	return protocol.PublicKey(id.key[ed25519.SeedSize:])
}

// Sign signs a message.
func (id *Identity) Sign(message []byte) ([]byte, error) { return ed25519.Sign(id.key, message), nil }

// NodeID is the id the key is registered under, 0 before the first registration.
func (id *Identity) NodeID() uint32 { return id.nodeID.Load() }

// SetNodeID remembers the id; Save keeps it.
func (id *Identity) SetNodeID(n uint32) { id.nodeID.Store(n) }

// Rotated is the same identity with a new key pair.
func (id *Identity) Rotated() (*Identity, error) {
	next, err := NewIdentity()
	if err != nil {
		return nil, err
	}
	next.extra = id.extra
	next.SetNodeID(id.NodeID())
	return next, nil
}

// String names the identity without its secret.
func (id *Identity) String() string {
	return fmt.Sprintf("node %d, key %s", id.NodeID(), id.PublicKey())
}

// Format prints String for every verb, so that none shows the private key.
func (id *Identity) Format(f fmt.State, _ rune) { io.WriteString(f, id.String()) }

// MarshalJSON keeps the private key out of anything but Save.
func (id *Identity) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"node_id": id.NodeID(), "public_key": id.PublicKey().String()})
}

// LoadIdentity reads an identity file: a JSON object with private_key (seed ‖
// public key) and public_key in standard base64, and our node_id, which the
// original's tools ignore. A missing file is fs.ErrNotExist: first run.
func LoadIdentity(path string) (*Identity, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	id, err := parseIdentity(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, &identityFileError{err})
	}
	return id, nil
}

// ErrIdentityFile matches the errors of an identity file that can be read but
// does not hold an identity.
var ErrIdentityFile = errors.New("identity file corrupted")

// identityFileError keeps the text of the mistake that was found.
type identityFileError struct{ found error }

func (e *identityFileError) Error() string   { return e.found.Error() }
func (e *identityFileError) Unwrap() []error { return []error{ErrIdentityFile, e.found} }

func parseIdentity(data []byte) (*Identity, error) {
	var extra map[string]json.RawMessage
	if err := json.Unmarshal(data, &extra); err != nil || extra == nil {
		return nil, fmt.Errorf("%w: not a JSON object", ErrIdentityFile)
	}
	member := func(name string) ([]byte, error) {
		var text string
		if err := json.Unmarshal(extra[name], &text); err != nil {
			return nil, fmt.Errorf("%w: %s is missing or not a string", ErrIdentityFile, name)
		}
		delete(extra, name)
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %s is not base64", ErrIdentityFile, name)
		}
		return raw, nil
	}
	private, err := member("private_key")
	if err != nil {
		return nil, err
	}
	public, err := member("public_key")
	if err != nil {
		return nil, err
	}
	id, err := newIdentity(private)
	if err != nil {
		return nil, err
	}
	if len(public) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("invalid public key size: %d", len(public))
	}
	if key := id.PublicKey(); !bytes.Equal(public, key[:]) {
		return nil, fmt.Errorf("%w: public key does not match private key", ErrIdentityFile)
	}
	if raw, ok := extra["node_id"]; ok {
		var node uint32
		if err := json.Unmarshal(raw, &node); err != nil {
			return nil, fmt.Errorf("%w: node_id is not a node id", ErrIdentityFile)
		}
		id.SetNodeID(node)
		delete(extra, "node_id")
	}
	id.extra = extra
	return id, nil
}

// Save replaces the identity file atomically: a crash leaves the old or the
// new one, whole. The file gets mode 0600, a new directory 0700.
func (id *Identity) Save(path string) error {
	members := map[string]any{}
	for name, raw := range id.extra {
		members[name] = raw
	}
	members["private_key"] = base64.StdEncoding.EncodeToString(id.key)
	members["public_key"] = id.PublicKey().String()
	if node := id.NodeID(); node != 0 {
		members["node_id"] = node
	}
	data, err := json.MarshalIndent(members, "", "  ")
	if err != nil {
		return fmt.Errorf("encode identity: %w", err)
	}
	if err := replaceFile(path, append(data, '\n')); err != nil {
		return fmt.Errorf("save identity: %w", err)
	}
	return nil
}

// replaceFile writes a private file so that it is whole or not there.
func replaceFile(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // created with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename durable where the platform can.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // directories cannot be synced there
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
