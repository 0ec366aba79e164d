// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
)

const (
	// renewalLook is how often a member looks at its certificate.
	renewalLook = time.Second
	// renewalRetry is how long it waits after a renewal that failed.
	renewalRetry = time.Minute
)

// renewal renews this member's certificate when two thirds of its life are
// over. Every member holds what that takes: the key of the cluster's CA is in
// the state, sealed with the keyring. So nobody needs to be asked, and a member
// that was off until its certificate had ended gets a new one at its start.
type renewal struct {
	*self
	dir      *dataDir
	identity *peer.Identity
	roster   interface {
		authority(root *fsm.Root) (*peer.CA, error)
	}
	term interface{ leaderID() string }

	// problem is why the last attempt failed, nil when it did not.
	problem atomic.Pointer[string]
}

// certTime is the time at which certificates of other members are judged: the
// machine's clock, or log time if that is earlier. A clock that is years ahead
// keeps no member from the others.
func (s *self) certTime() time.Time {
	wall := s.cfg.Clock.Wall()
	if logged := s.Root().Now(); logged > 0 && logged < wall.UnixMilli() {
		return time.UnixMilli(logged)
	}
	return wall
}

// keep renews the certificate until the member stops.
func (r *renewal) keep(ctx context.Context) {
	if err := r.dir.settleKey(); err != nil {
		r.log.Warn("a key of an earlier certificate is left over", "error", err)
	}
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		pause := renewalLook
		if err := r.look(); err != nil {
			text := err.Error()
			r.problem.Store(&text)
			r.log.Warn("the certificate of this member cannot be renewed", "error", err)
			pause = renewalRetry
		}
		t.Reset(pause)
	}
}

// now is the time by which this member's own certificate is renewed: log time
// while the cluster has a leader, else the machine's clock, which may be later:
// a member whose certificate has ended finds no leader.
func (r *renewal) now() time.Time {
	logged, wall := time.UnixMilli(r.Root().Now()), r.cfg.Clock.Wall()
	if r.term.leaderID() == "" && wall.After(logged) {
		return wall
	}
	return logged
}

// due reports whether a certificate is to be renewed.
func due(from, to, now time.Time) bool { return !now.Before(from.Add(to.Sub(from) / 3 * 2)) }

// look renews the certificate when it is due.
func (r *renewal) look() error {
	from, to := r.identity.Validity()
	root := r.Root()
	if _, ends := r.identity.Expiry(); root.ClusterID() == "" || !due(from, to, r.now()) || !to.Before(ends) {
		return nil // the state is not there yet, or nothing would be won
	}
	ca, err := r.roster.authority(root)
	if err != nil {
		return err
	}
	return r.renew(ca)
}

// renew exchanges certificate and key, on disk first. Connections stay; new
// ones show the new certificate.
func (r *renewal) renew(ca *peer.CA) error {
	key, csr, err := peer.NewMemberKey()
	if err != nil {
		return err
	}
	cert, err := ca.SignMember(csr, r.clusterID, r.id, r.now())
	if err != nil {
		return err
	}
	if _, err := peer.NewIdentity(r.clusterID, r.id, ca.CertPEM(), cert, key); err != nil {
		return err
	}
	if err := r.dir.exchangeCert(cert, key); err != nil {
		return err
	}
	if err := r.identity.Use(ca.CertPEM(), cert, key); err != nil {
		return err
	}
	r.problem.Store(nil)
	_, ends := r.identity.Validity()
	r.log.Info("the certificate of this member has been renewed", "ends", ends.UTC().Format(time.RFC3339))
	return nil
}

// certEnds tells when the certificates of this member end, by name.
func (r *renewal) certEnds() map[string]time.Time {
	ends := map[string]time.Time{}
	if r.cfg.Certificates != nil {
		maps.Copy(ends, r.cfg.Certificates())
	}
	ends[certMember], ends[certCA] = r.identity.Expiry()
	return ends
}

// unusable says of each certificate whether another one should be in its
// place and cannot be.
func (r *renewal) unusable() map[string]bool {
	bad := map[string]bool{certMember: r.problem.Load() != nil}
	for listener, err := range r.listenerProblems() {
		bad[listener] = err != nil
	}
	return bad
}

func (r *renewal) listenerProblems() map[string]error {
	if r.cfg.CertificateProblems == nil {
		return nil
	}
	return r.cfg.CertificateProblems()
}

// failing is why certificates cannot be renewed, empty when all can.
func (r *renewal) failing() string {
	var all []string
	if text := r.problem.Load(); text != nil {
		all = append(all, "its certificate cannot be renewed: "+*text)
	}
	problems := r.listenerProblems()
	for _, listener := range slices.Sorted(maps.Keys(problems)) {
		if err := problems[listener]; err != nil {
			all = append(all, fmt.Sprintf("the files of %s.tls_cert and %s.tls_key cannot be used, the certificate before them stays: %v", listener, listener, err))
		}
	}
	return strings.Join(all, "; ")
}
