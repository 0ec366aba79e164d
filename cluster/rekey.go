// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// keyringRequest hands a member the keyring. It travels only between members,
// over mutually authenticated TLS.
type keyringRequest struct {
	Keyring []byte `json:"keyring"`
}

type keyringReply struct {
	Versions []uint32 `json:"versions"`
}

// RotateKeys gives the cluster a new keyring version for new secrets: every
// member gets it, then it is put into force, then secrets that can be read back
// are encrypted anew. Tokens stay valid: their MACs name the version they were
// made with, and no version is taken away. It may be repeated after an error and
// then goes on where it was. The error names a member that could not be reached.
func (n *Member) RotateKeys(ctx context.Context) (version uint32, err *protocol.Error) {
	r, err := n.onLeader(ctx, adminRequest{Op: opRotateKeys})
	return r.KeyVersion, err
}

// rotateKeys holds the membership lock, so that no member joins with an outdated keyring.
func (n *Member) rotateKeys(ctx context.Context, by asker) (uint32, *protocol.Error) {
	n.membership.Lock()
	defer n.membership.Unlock()
	version := n.ring.Latest()
	if version <= n.Root().ActiveKey() { // else an earlier rotation stopped half way
		var err error
		if version, err = n.ring.Add(); err != nil {
			return 0, protocol.NotAppliedf(protocol.CodeInternal, "the new key could not be written: %v", err)
		}
	}
	if err := n.distributeKeys(ctx); err != nil {
		return 0, err
	}
	if err := n.proposeFor(ctx, by, fsm.KindActivateKey, fsm.ActivateKey{Term: n.raft.CurrentTerm(), Key: version, AskedAt: by.At}); err != nil {
		return 0, err
	}
	n.log.Info("a new keyring version is in force", "version", version)
	if err := n.resealCA(ctx, version); err != nil {
		return version, err
	}
	return version, n.resealSinks(ctx, version)
}

// resealSinks encrypts the secrets of sinks with a new version. A sink that is
// configured anew meanwhile has its secret under the new version already.
func (n *Member) resealSinks(ctx context.Context, version uint32) *protocol.Error {
	for _, s := range n.Root().Sinks() {
		if s.Secret.IsZero() || s.Secret.Key == version {
			continue
		}
		name := protocol.SinkSecretName(s.Name)
		plain, err := n.ring.Unseal(s.Secret, name)
		if err == nil {
			s.Secret, err = n.ring.Seal(version, name, plain)
		}
		if err != nil {
			return protocol.Errorf(protocol.CodeInternal, "keyring version %d is in force, but the secret of sink %s could not be encrypted anew: %v", version, s.Name, err)
		}
		perr := n.proposeDecided(ctx, fsm.KindResealSink, fsm.ResealSink{Name: s.Name, Gen: s.Gen, Secret: s.Secret})
		if perr != nil && perr.Code != protocol.CodeConflict {
			return perr
		}
	}
	return nil
}

// distributeKeys hands the keyring to every member and records who has it.
func (n *Member) distributeKeys(ctx context.Context) *protocol.Error {
	for _, s := range n.servers() {
		id := string(s.ID)
		reply := keyringReply{Versions: n.ring.Versions()}
		if id != n.id {
			if err := n.callJSON(ctx, id, rpcKeyring, keyringRequest{Keyring: n.ring.Export()}, &reply); err != nil {
				return protocol.Errorf(protocol.CodeConflict, "the new key is not in force: member %s could not be given it (%v); bring the member back or remove it, then rotate again", id, err)
			}
		}
		rec, known := n.record(id)
		if !known || slices.Equal(rec.Keys, reply.Versions) {
			continue
		}
		rec.Keys = reply.Versions
		if err := n.proposeDecided(ctx, fsm.KindMemberHello, rec); err != nil {
			return err
		}
	}
	return nil
}

// resealCA encrypts the key of the cluster's CA with a new version.
func (n *Member) resealCA(ctx context.Context, version uint32) *protocol.Error {
	sealed, public, ok := n.Root().Sealed(sealedCA)
	if !ok || sealed.Key == version {
		return nil
	}
	key, err := n.ring.Unseal(sealed, sealedCA)
	if err == nil {
		sealed, err = n.ring.Seal(version, sealedCA, key)
	}
	if err != nil {
		return protocol.Errorf(protocol.CodeInternal, "keyring version %d is in force, but the key of the cluster's CA could not be encrypted anew: %v", version, err)
	}
	return n.proposeDecided(ctx, fsm.KindPutSealed, fsm.PutSealed{Name: sealedCA, Sealed: sealed, Public: public})
}

// handleKeyring takes over what the leader hands out.
func (n *Member) handleKeyring(payload []byte) ([]byte, *protocol.Error) {
	var req keyringRequest
	if err := json.Unmarshal(payload, &req); err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "the keyring cannot be read")
	}
	if err := n.ring.Merge(req.Keyring, n.Root().ActiveKey()); err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, "member %s: %v", n.id, err)
	}
	return encodeJSON(keyringReply{Versions: n.ring.Versions()})
}
