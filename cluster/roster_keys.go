// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
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

// rotation puts new versions of the keyring into force, on the leader.
type rotation struct {
	*self
	ring   *keyring.Keyring
	raft   interface{ CurrentTerm() uint64 }
	peers  caller
	roster *roster
	writes proposer
}

// rotateKeys holds the membership lock, so that no member joins with an outdated keyring.
func (k *rotation) rotateKeys(ctx context.Context, by asker) (uint32, *protocol.Error) {
	k.roster.changes.Lock()
	defer k.roster.changes.Unlock()
	version := k.ring.Latest()
	if version <= k.Root().ActiveKey() { // else an earlier rotation stopped half way
		var err error
		if version, err = k.ring.Add(); err != nil {
			return 0, protocol.NotAppliedf(protocol.CodeInternal, "the new key could not be written: %v", err)
		}
	}
	if e := k.distributeKeys(ctx); e != nil {
		return 0, e
	}
	if e := k.writes.proposeFor(ctx, by, fsm.KindActivateKey, fsm.ActivateKey{Term: k.raft.CurrentTerm(), Key: version, AskedAt: by.At}); e != nil {
		return 0, e
	}
	k.log.Info("a new keyring version is in force", "version", version)
	if e := k.resealCA(ctx, version); e != nil {
		return version, e
	}
	return version, k.resealSinks(ctx, version)
}

// resealSinks encrypts the secrets of sinks with a new version. A sink that is
// configured again meanwhile has its secret under the new version already.
func (k *rotation) resealSinks(ctx context.Context, version uint32) *protocol.Error {
	for _, s := range k.Root().Sinks() {
		if s.Secret.IsZero() || s.Secret.Key == version {
			continue
		}
		name := protocol.SinkSecretName(s.Name)
		plain, err := k.ring.Unseal(s.Secret, name)
		if err == nil {
			s.Secret, err = k.ring.Seal(version, name, plain)
		}
		if err != nil {
			return protocol.Errorf(protocol.CodeInternal, "keyring version %d is in force, but the secret of sink %s could not be re-encrypted: %v", version, s.Name, err)
		}
		e := k.writes.proposeDecided(ctx, fsm.KindResealSink, fsm.ResealSink{Name: s.Name, Gen: s.Gen, Secret: s.Secret})
		if e != nil && e.Code != protocol.CodeConflict {
			return e
		}
	}
	return nil
}

// distributeKeys hands the keyring to every member and records which members have it.
func (k *rotation) distributeKeys(ctx context.Context) *protocol.Error {
	for _, id := range k.roster.ids() {
		reply := keyringReply{Versions: k.ring.Versions()}
		if id != k.id {
			if err := callJSON(ctx, k.peers, id, rpcKeyring, keyringRequest{Keyring: k.ring.Export()}, &reply); err != nil {
				return protocol.Errorf(protocol.CodeConflict, "the new key is not in force: member %s could not be given it (%v); bring the member back or remove it, then rotate again", id, err)
			}
		}
		rec, known := k.roster.record(id)
		if !known || slices.Equal(rec.Keys, reply.Versions) {
			continue
		}
		rec.Keys = reply.Versions
		if e := k.writes.proposeDecided(ctx, fsm.KindMemberHello, rec); e != nil {
			return e
		}
	}
	return nil
}

// resealCA encrypts the key of the cluster's CA with a new version.
func (k *rotation) resealCA(ctx context.Context, version uint32) *protocol.Error {
	sealed, public, ok := k.Root().Sealed(sealedCA)
	if !ok || sealed.Key == version {
		return nil
	}
	key, err := k.ring.Unseal(sealed, sealedCA)
	if err == nil {
		sealed, err = k.ring.Seal(version, sealedCA, key)
	}
	if err != nil {
		return protocol.Errorf(protocol.CodeInternal, "keyring version %d is in force, but the key of the cluster's CA could not be re-encrypted: %v", version, err)
	}
	return k.writes.proposeDecided(ctx, fsm.KindPutSealed, fsm.PutSealed{Name: sealedCA, Sealed: sealed, Public: public})
}

// handleKeyring takes over what the leader hands out.
func (k *rotation) handleKeyring(payload []byte) ([]byte, *protocol.Error) {
	var req keyringRequest
	if err := json.Unmarshal(payload, &req); err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "the keyring cannot be read")
	}
	if err := k.ring.Merge(req.Keyring, k.Root().ActiveKey()); err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, "member %s: %v", k.id, err)
	}
	return encodeJSON(keyringReply{Versions: k.ring.Versions()})
}
