// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// Options of a lab.
type Options struct {
	// Dir receives data directories, logs and the diary; it is made when missing.
	Dir string
	// Voters is 3 when 0; NonVoters replicate and serve without a vote.
	Voters, NonVoters int
	// Sites are groups of clients with links of their own, 2 when 0.
	Sites int
	// Binary is the members' binary; built from this module when empty.
	Binary string
	// Set are settings of every member, as in "raft.snapshot_threshold=64".
	Set []string
	// StayDown leaves a member down that ended with 75 or was killed by a
	// fault point; else it is started again, as a supervisor would.
	StayDown bool
	// Disks gives every member its own file system, which can be filled
	// and lose its power; see NoDisks.
	Disks bool
	// WallClocks makes it possible to move members' wall clocks; see NoWallClocks.
	WallClocks bool
	// NoJournal does without the members' journals of their log.
	NoJournal bool
	// Seed makes the relays' jitter and loss repeatable.
	Seed uint64
}

// Lab is a running cluster with everything that can be made to fail.
type Lab struct {
	Options
	// AdminToken is the cluster's.
	AdminToken string

	net    *subnet
	events *events
	spawns chan spawnRequest
	closed chan struct{}
	once   sync.Once
	wg     sync.WaitGroup

	links links

	mu      sync.Mutex
	members []*Member // of all times
	named   int
	exits   []Exit
	mounted map[string]string // member → its data directory, of those with disks
	watch   *watch
}

// links are the proxies that everything in the lab is sent through.
type links struct {
	peers map[[2]int]*Link // slot that dials, slot that is dialled
	sites map[[2]int]*Link // site, slot
}

// startTimeout bounds how long one step of the start may take.
const startTimeout = 60 * time.Second

// New starts a cluster and returns when every member is ready.
func New(ctx context.Context, o Options) (*Lab, error) {
	if o.Voters == 0 {
		o.Voters = 3
	}
	if o.Sites == 0 {
		o.Sites = 2
	}
	if o.Voters+o.NonVoters > MaxSlots-1 {
		return nil, fmt.Errorf("a lab has room for %d members", MaxSlots-1)
	}
	if o.Binary == "" {
		var err error
		if o.Binary, err = Binary(Build{}); err != nil {
			return nil, err
		}
	}
	l := &Lab{Options: o, spawns: make(chan spawnRequest), closed: make(chan struct{}),
		links: links{map[[2]int]*Link{}, map[[2]int]*Link{}}, mounted: map[string]string{}}
	if err := l.prepare(); err != nil {
		l.Close()
		return nil, err
	}
	if err := l.populate(ctx); err != nil {
		l.Close()
		return nil, fmt.Errorf("the cluster did not come up: %w\n%s", err, l.Tails())
	}
	return l, nil
}

// prepare makes what members need before the first of them starts.
func (l *Lab) prepare() error {
	if err := os.MkdirAll(l.Dir, 0o755); err != nil {
		return err
	}
	var err error
	if l.events, err = newEvents(filepath.Join(l.Dir, "events.jsonl")); err != nil {
		return err
	}
	if l.net, err = takeSubnet(); err != nil {
		return err
	}
	l.AdminToken = rand.Text()
	if err := os.WriteFile(l.adminFile(), []byte(l.AdminToken+"\n"), 0o600); err != nil {
		return err
	}
	for slot := 1; slot < MaxSlots; slot++ {
		for from := 1; from < MaxSlots; from++ {
			if from != slot {
				l.links.peers[[2]int{from, slot}] = newLink(fmt.Sprintf("slot%d>slot%d", from, slot), l.net.peerRelay(from, slot),
					l.net.addr(slot, peerPort), l.net.host(from), l.Seed<<16|uint64(from<<8|slot))
			}
		}
		for site := range l.Sites {
			l.links.sites[[2]int{site, slot}] = newLink(fmt.Sprintf("site%d>slot%d", site, slot), l.net.siteRelay(site, slot),
				l.net.addr(slot, wirePort), "", l.Seed<<16|uint64(site<<8|slot)<<8)
		}
	}
	l.wg.Add(1)
	go l.spawner()
	l.watch = newWatch(l)
	return nil
}

// spawner owns the thread from which all processes are started.
func (l *Lab) spawner() {
	defer l.wg.Done()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		select {
		case <-l.closed:
			return
		case r := <-l.spawns:
			if r.clock {
				at, err := startWithClock(r.cmd)
				r.done <- spawned{at, err}
				continue
			}
			r.done <- spawned{0, r.cmd.Start()}
		}
	}
}

// populate brings up the first member and lets the others join one by one.
func (l *Lab) populate(ctx context.Context) error {
	first := l.newMember(1, false)
	if err := l.makeDisk(ctx, first); err != nil {
		return err
	}
	if err := l.command(ctx, first.binary, "init", "--data-dir", first.Dir, "--peer-advertise", l.net.addr(1, peerPort), "--admin-token-file", l.adminFile()); err != nil {
		return err
	}
	if err := l.firstStart(ctx, first); err != nil {
		return err
	}
	for slot := 2; slot <= l.Voters+l.NonVoters; slot++ {
		if _, err := l.Join(ctx, slot, slot > l.Voters); err != nil {
			return err
		}
	}
	return l.AwaitShape(ctx)
}

func (l *Lab) firstStart(ctx context.Context, m *Member) error {
	if err := m.readID(); err != nil {
		return err
	}
	if err := l.Start(m); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return l.AwaitReady(ctx, m)
}

func (l *Lab) adminFile() string { return filepath.Join(l.Dir, "admin-token") }

// Close ends every process and link. It may be called again.
func (l *Lab) Close() {
	l.once.Do(func() {
		if l.watch != nil {
			l.watch.close()
		}
		for _, m := range l.Everyone() {
			l.Expect(m, "the lab closes", Killed)
			_ = l.Kill(m) // it may have ended
		}
		close(l.closed)
		for _, set := range []map[[2]int]*Link{l.links.peers, l.links.sites} {
			for _, link := range set {
				link.Close()
			}
		}
		l.wg.Wait()
		l.unmountAll()
		if l.events != nil {
			l.events.close()
		}
		if l.net != nil {
			l.net.release()
		}
	})
}

// Everyone lists the members of all times, also those that were replaced.
func (l *Lab) Everyone() []*Member {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*Member(nil), l.members...)
}

// Members lists those that belong to the cluster and whose data is sound.
func (l *Lab) Members() []*Member {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*Member
	for _, m := range l.members {
		if !m.lost {
			out = append(out, m)
		}
	}
	return out
}

// VotersNow lists the members of today that have, or are to get, a vote.
func (l *Lab) VotersNow() []*Member {
	var out []*Member
	for _, m := range l.Members() {
		if !m.NonVoter {
			out = append(out, m)
		}
	}
	return out
}

// Exits are the ends of processes so far.
func (l *Lab) Exits() []Exit {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Exit(nil), l.exits...)
}

// UnexpectedExits are those that nobody ordered or foresaw.
func (l *Lab) UnexpectedExits() []Exit {
	var out []Exit
	for _, e := range l.Exits() {
		if e.Expected == "" {
			out = append(out, e)
		}
	}
	return out
}

// SiteAddrs are the members' addresses for the clients of a site, through its links.
func (l *Lab) SiteAddrs(site int) []string {
	var out []string
	for slot := 1; slot <= l.Voters+l.NonVoters; slot++ {
		out = append(out, l.links.sites[[2]int{site % l.Sites, slot}].Addr())
	}
	return out
}

// MemberAt names the member that an address given by SiteAddrs leads to now.
func (l *Lab) MemberAt(addr string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, link := range l.links.sites {
		if link.Addr() != addr {
			continue
		}
		for i := len(l.members) - 1; i >= 0; i-- {
			if l.members[i].Slot == key[1] {
				return l.members[i].Name
			}
		}
	}
	return ""
}

var errClosed = errors.New("the lab is closed")
