// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const day = 24 * time.Hour

// Members renew their certificates while the cluster runs, and those that
// were off until all certificates had ended find together again.
func TestMembersRenewTheirCertificates(t *testing.T) {
	t.Parallel()
	clock := &jumpClock{}
	c := newCluster(t, 3, func(_ int, cfg *Config) { cfg.Clock = clock })
	node := c.node(c.leader())
	for round, away := range []time.Duration{250 * day, 2 * 365 * day} { // two thirds are over; all have ended
		for _, m := range c.members {
			m.kill()
		}
		clock.by.Add(int64(away))
		for range c.members {
			c.restart(c.members[0])
		}
		c.eventually("all have new certificates", func() bool {
			for _, m := range c.members {
				if _, ends := m.certs.identity.Validity(); ends.Before(clock.Wall().Add(360 * day)) {
					return false
				}
			}
			return true
		})
		c.ready(c.members...)
		c.leader().must(increment(t, node, fmt.Sprint(round)))
		for _, cert := range c.members[0].Status(t.Context()).Certificates {
			if cert.Certificate == certMember && cert.Ends < clock.Wall().Add(360*day).UTC().Format(time.RFC3339) {
				t.Errorf("status says that a certificate ends on %s", cert.Ends)
			}
		}
	}
	for _, m := range c.members {
		if got := m.mustRead(node); got != 2 {
			t.Errorf("member %s counts %d, want 2", m.id, got)
		}
	}
}

// A member whose clock is years ahead judges others by log time.
func TestAClockThatIsYearsAheadRefusesNobody(t *testing.T) {
	t.Parallel()
	clock := &jumpClock{}
	c := newCluster(t, 3, func(i int, cfg *Config) {
		if i == 2 {
			cfg.Clock = clock
		}
	})
	clock.by.Store(int64(13 * 365 * day))
	m := c.restart(c.members[2])
	c.ready(m)
	if _, ends := m.certs.identity.Validity(); ends.After(time.Now().Add(14 * 365 * day)) {
		t.Errorf("its certificate ends on %s", ends)
	}
}

// newRenewal makes a renewal of a member "m" whose certificate was issued at, in
// a directory, with an authority in the state.
func newRenewal(t *testing.T, at time.Time) (*renewal, *handClock) {
	t.Helper()
	clock := &handClock{t: at}
	s := begun(t, Config{Clock: clock})
	dir := &dataDir{path: t.TempDir()}
	ca, err := peer.NewCA(s.clusterID)
	must(t, err)
	key, csr, err := peer.NewMemberKey()
	must(t, err)
	cert, err := ca.SignMember(csr, s.clusterID, s.id, at)
	must(t, err)
	must(t, dir.writeTLS(ca.CertPEM(), cert, key))
	id, err := dir.identity(memberFile{ClusterID: s.clusterID, MemberID: s.id})
	must(t, err)
	return &renewal{self: s, dir: dir, identity: id, roster: fakeAuthority{ca: ca}, term: &fakeTerm{}}, clock
}

type fakeAuthority struct {
	ca  *peer.CA
	err error
}

func (a fakeAuthority) authority(*fsm.Root) (*peer.CA, error) { return a.ca, a.err }

// A certificate is renewed at two thirds of its life, not before, with another
// key, and a failure is told.
func TestRenewalAtTwoThirds(t *testing.T) {
	t.Parallel()
	at := time.Now().Truncate(time.Second)
	r, clock := newRenewal(t, at)
	from, to := r.identity.Validity()
	clock.t = from.Add(to.Sub(from)/3*2 - time.Second)
	must(t, r.look())
	if _, same := r.identity.Validity(); !same.Equal(to) {
		t.Fatalf("renewed %s before its time", time.Second)
	}
	_, oldKey, err := r.dir.ownCert()
	must(t, err)
	clock.t = clock.t.Add(time.Second)
	working := r.roster
	r.roster = fakeAuthority{err: errors.New("sealed with another keyring")}
	if err := r.look(); err == nil {
		t.Fatal("renewed without an authority")
	}
	r.roster = working
	must(t, r.look())
	_, ends := r.identity.Validity()
	if want := clock.t.Add(peer.MemberValidity); !ends.Equal(want) {
		t.Errorf("ends on %s, want %s", ends, want)
	}
	stored, err := r.dir.identity(memberFile{ClusterID: r.clusterID, MemberID: r.id})
	must(t, err)
	if _, kept := stored.Validity(); !kept.Equal(ends) {
		t.Errorf("the directory holds a certificate until %s, in use is one until %s", kept, ends)
	}
	if _, key, err := r.dir.ownCert(); err != nil || string(key) == string(oldKey) {
		t.Errorf("the key is the old one (%v)", err)
	}
}

// A certificate that has ended is no reason not to start, whatever its dates,
// and is renewed then.
func TestACertificateThatHasEndedIsRenewed(t *testing.T) {
	t.Parallel()
	r, clock := newRenewal(t, time.Now().Add(-5*365*day))
	clock.t = time.Now()
	must(t, r.look())
	if _, ends := r.identity.Validity(); ends.Before(clock.t.Add(360 * day)) {
		t.Errorf("ends on %s", ends)
	}
}

// A certificate that ends with its authority is not renewed again and again.
func TestNoRenewalBeyondTheAuthority(t *testing.T) {
	t.Parallel()
	r, clock := newRenewal(t, time.Now())
	_, ends := r.identity.Expiry()
	clock.t = ends.Add(-day)
	must(t, r.look())
	if _, to := r.identity.Validity(); !to.Equal(ends) {
		t.Fatalf("ends on %s, its authority on %s", to, ends)
	}
	before := r.identity.CAHash()
	_, key, err := r.dir.ownCert()
	must(t, err)
	must(t, r.look())
	if _, again, err := r.dir.ownCert(); err != nil || string(again) != string(key) || r.identity.CAHash() != before {
		t.Errorf("renewed again (%v)", err)
	}
}

// After a crash at any point of an exchange there is a pair, old or new.
func TestACrashWhileACertificateIsExchanged(t *testing.T) {
	t.Parallel()
	at := time.Now()
	for _, written := range []int{1, 2} { // files that were written before the crash
		r, _ := newRenewal(t, at)
		key, csr, err := peer.NewMemberKey()
		must(t, err)
		cert, err := r.roster.(fakeAuthority).ca.SignMember(csr, r.clusterID, r.id, at.Add(day))
		must(t, err)
		must(t, r.dir.write(key, dirTLS, fileNextKey))
		if written == 2 {
			must(t, r.dir.write(cert, dirTLS, fileCert))
		}
		for _, settled := range []bool{false, true} {
			if settled {
				must(t, r.dir.settleKey())
			}
			id, err := r.dir.identity(memberFile{ClusterID: r.clusterID, MemberID: r.id})
			must(t, err)
			_, ends := id.Validity()
			if isNew := ends.After(at.Add(peer.MemberValidity)); isNew != (written == 2) {
				t.Errorf("%d files, settled %t: the certificate ends on %s", written, settled, ends)
			}
		}
		if _, err := os.Stat(r.dir.file(dirTLS, fileNextKey)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the other key is still there: %v", err)
		}
	}
}

// Status lists certificates, once where members have the same, and warns from
// 60 days before an end.
func TestStatusWarnsOfCertificates(t *testing.T) {
	t.Parallel()
	rf := raftOf(3, "a", "b")
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	ends := map[string]time.Time{"ca": now.Add(60*day + time.Second), "member": now.Add(60 * day), "wire": now.Add(-day)}
	p := &reporter{self: begun(t, Config{}), raft: rf, roster: fakeRoster{rf}, hello: &greeter{}, confirm: confirmed(), term: &fakeTerm{leader: "a"}, reads: fakeReads{}, health: &fakeHealth{},
		clock: &leaderClock{source: systemClock{}}, ring: fakeRing{1}, disk: fakeDisk{}, certs: fakeCerts{at: now, ends: ends, problem: "no keyring"}}
	p.peers = fakePeers(func(_ context.Context, id string, _ byte, _ []byte) ([]byte, error) {
		st := p.local()
		st.ID, st.Host.CertificateEnds = id, now.Add(300*day).UnixMilli()
		st.Host.CertificateProblem = ""
		raw, e := encodeJSON(st)
		return raw, e.AsError()
	})
	st := p.status(t.Context())
	want := []protocol.ClusterCertificate{
		{Certificate: "wire", Ends: "2029-12-31T00:00:00Z"},
		{Certificate: "member", Ends: "2030-03-02T00:00:00Z", MemberID: "a"},
		{Certificate: "ca", Ends: "2030-03-02T00:00:01Z"},
		{Certificate: "member", Ends: "2030-10-28T00:00:00Z", MemberID: "b"},
	}
	if !reflect.DeepEqual(st.Certificates, want) {
		t.Errorf("%+v", st.Certificates)
	}
	got := strings.Join(st.Problems, "; ")
	if got != "member a: no keyring; the wire certificate ended on 2029-12-31; the member certificate of member a ends on 2030-03-02" {
		t.Errorf("problems: %s", got)
	}
	if len(st.NextSteps) != 3 || !strings.Contains(st.NextSteps[2], "two thirds") {
		t.Errorf("next steps: %q", st.NextSteps)
	}
}
