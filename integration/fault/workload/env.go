// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Member is where a member can be reached by clients. The name stays, the
// address may change.
type Member struct {
	Name string
	Addr string
}

// Env is the cluster as a workload sees it.
type Env struct {
	// Members are the present members; asked before every operation.
	Members func() []Member
	// Removed are members that were taken out of the cluster and still run;
	// may be nil.
	Removed func() []Member
	// Recorder receives every operation.
	Recorder *history.Recorder
	// Seed makes the choices.
	Seed uint64
	// Run tells the keys of this run from those of earlier ones on the same
	// cluster: lower case letters and digits, at most 6. Derived from Seed when empty.
	Run string
	// Clients and Rate (operations per second, 0 for as fast as it goes) are
	// of all workloads together.
	Clients int
	Rate    float64
	// Timeout is how long one sending waits for its reply; 1.5 s when 0.
	Timeout time.Duration
	// AdminToken makes networks.
	AdminToken string
	// ClusterID is what signed requests are bound to; there are none when it is empty.
	ClusterID string
	// Dial opens connections; plain TCP when nil.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Status asks a member what it knows of itself, see [Digests].
	Status func(ctx context.Context, member string) (protocol.ClusterStatusReply, error)

	keys    atomic.Uint64
	clients struct {
		sync.Mutex
		total int
		named map[string]int
	}
}

// name makes the name of a client unique: one that comes again in the same
// run, as in the next period of a long one, is somebody else.
func (e *Env) name(base string) (name string, serial int) {
	e.clients.Lock()
	defer e.clients.Unlock()
	if e.clients.named == nil {
		e.clients.named = map[string]int{}
	}
	e.clients.total++
	e.clients.named[base]++
	if n := e.clients.named[base]; n > 1 {
		base = fmt.Sprintf("%s~r%d", base, n)
	}
	return base, e.clients.total
}

// maxRunBytes keeps tags, which hold the run, within the protocol's bounds.
const maxRunBytes = 6

func (e *Env) setDefaults() error {
	if e.Run == "" {
		e.Run = fmt.Sprintf("%06x", e.Seed&0xffffff)
	}
	if len(e.Run) > maxRunBytes || protocol.CheckHostname(e.Run) != "" {
		return fmt.Errorf("run %q: want at most %d lower case letters and digits", e.Run, maxRunBytes)
	}
	if e.Clients <= 0 {
		e.Clients = 16
	}
	if e.Timeout <= 0 {
		e.Timeout = 1500 * time.Millisecond
	}
	if e.Dial == nil {
		d := net.Dialer{Timeout: time.Second}
		e.Dial = func(ctx context.Context, addr string) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) }
	}
	return nil
}

// removed lists removed members.
func (e *Env) removed() []Member {
	if e.Removed == nil {
		return nil
	}
	return e.Removed()
}

// newKey makes a key that no other node of this run has.
func (e *Env) newKey() ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", e.Run, e.Seed, e.keys.Add(1)))
	return ed25519.NewKeyFromSeed(seed[:])
}

// rng makes the choices of one client.
func (e *Env) rng(name string) *rand.Rand {
	sum := sha256.Sum256([]byte(name))
	var lane uint64
	for _, b := range sum[:8] {
		lane = lane<<8 | uint64(b)
	}
	return rand.New(rand.NewPCG(e.Seed, lane))
}

func publicKey(k ed25519.PrivateKey) protocol.PublicKey {
	return protocol.PublicKey(k.Public().(ed25519.PublicKey))
}
