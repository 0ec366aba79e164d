// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// Keyrings are rotated and certificates renewed under write load, also one
// that had ended while its member was off. Clients that have three addresses
// see no error, nothing acknowledged is missing, and nothing is doubled.
func TestKeysAndCertificatesChangeUnderLoad(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	ca := authorityOf(ctx, t, c)
	stop := make(chan struct{})
	var acked atomic.Int64
	var workers []*worker
	var wg sync.WaitGroup
	failures := make(chan error, 12)
	for i := range 12 {
		w := newWorker(t, c.Addrs(), i%3, &acked)
		workers = append(workers, w)
		wg.Go(func() {
			if err := w.run(ctx, stop, fmt.Sprintf("worker %d", i)); err != nil {
				failures <- err
			}
		})
	}
	o := &operator{t: t, ctx: ctx, path: binary(t, "cmd/pilot-registry")}
	for i, age := range []time.Duration{250 * 24 * time.Hour, 400 * 24 * time.Hour, 300 * 24 * time.Hour} {
		awaitWrites(ctx, t, &acked, 300)
		o.run("keyring", "rotate", "--data-dir", memberDir(c, i))
		awaitWrites(ctx, t, &acked, 300)
		renewed(ctx, t, c, ca, i, age)
	}
	awaitWrites(ctx, t, &acked, 300)
	close(stop)
	wg.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
	verifyAll(ctx, t, c, workers)
}

func memberDir(c *harness.Cluster, i int) string {
	return filepath.Join(c.Dir, fmt.Sprintf("n%d", i+1))
}

// renewed gives a member a certificate of a certain age, kills the member, and
// waits until it is back with one that it has made itself.
func renewed(ctx context.Context, t *testing.T, c *harness.Cluster, ca *peer.CA, i int, age time.Duration) {
	t.Helper()
	r, err := c.Await(ctx, allUp)
	if err != nil {
		t.Fatal(err)
	}
	status, err := r.Nodes[i].Status()
	if err != nil {
		t.Fatal(err)
	}
	key, csr, err := peer.NewMemberKey()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.SignMember(csr, status.ClusterID, status.MemberID, time.Now().Add(-age))
	if err != nil {
		t.Fatal(err)
	}
	// The key first: a member that starts in between would have no pair.
	for _, f := range []struct {
		name string
		text []byte
	}{{"member.key.next", key}, {"member.pem", cert}} {
		if err := os.WriteFile(filepath.Join(memberDir(c, i), "tls", f.name), f.text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pid := r.Nodes[i].PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Await(ctx, func(now harness.Ready) bool { return allUp(now) && now.Nodes[i].PID != pid }); err != nil {
		t.Fatal(err)
	}
	fresh := time.Now().Add(360 * 24 * time.Hour)
	await(t, "a new certificate of member "+status.MemberID, func() (any, bool) {
		now, err := r.Nodes[(i+1)%3].Status() // what the others are told
		if err != nil {
			return err, false
		}
		for _, cert := range now.Certificates {
			if cert.Certificate == "member" && cert.MemberID == status.MemberID {
				ends, err := time.Parse(time.RFC3339, cert.Ends)
				return cert, err == nil && ends.After(fresh)
			}
		}
		raw, _ := json.Marshal(now)
		return string(raw), false
	})
}

// authorityOf is the CA of a cluster, with the key that its keyring opens.
func authorityOf(ctx context.Context, t *testing.T, c *harness.Cluster) *peer.CA {
	t.Helper()
	admin, err := client.Open(client.Options{Addrs: c.Addrs(), AdminToken: c.AdminToken})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	var state bytes.Buffer
	if _, err := admin.Snapshot(ctx, &state, false); err != nil {
		t.Fatal(err)
	}
	machine := fsm.New()
	if err := machine.Restore(&state); err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Open(filepath.Join(memberDir(c, 0), "keyring"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, public, _ := machine.Root().Sealed("cluster-ca")
	key, err := ring.Unseal(sealed, "cluster-ca")
	if err != nil {
		t.Fatal(err)
	}
	ca, err := peer.ParseCA(public, key)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}
