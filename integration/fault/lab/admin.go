// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// adminTimeout bounds one attempt of an operation on the cluster.
const adminTimeout = 5 * time.Second

// admin runs an operation through any member that is up, past the relays.
func (l *Lab) admin(ctx context.Context, do func(ctx context.Context, c *client.Client) error) error {
	var addrs []string
	for _, m := range l.Up() {
		addrs = append(addrs, m.Wire())
	}
	if len(addrs) == 0 {
		return errors.New("no member is up")
	}
	c, err := client.Open(client.Options{Addrs: addrs, AdminToken: l.AdminToken, Timeout: adminTimeout, Shuffle: true})
	if err != nil {
		return err
	}
	defer c.Close()
	return do(ctx, c)
}

// Join brings a new member into a slot, starts it and waits until it is ready.
// When a step fails, nothing is left running.
func (l *Lab) Join(ctx context.Context, slot int, nonvoter bool) (*Member, error) {
	var token string
	if err := l.admin(ctx, func(ctx context.Context, c *client.Client) error {
		r, err := c.ClusterJoinToken(ctx, nonvoter, time.Hour)
		if err == nil {
			token = r.JoinToken
		}
		return err
	}); err != nil {
		return nil, fmt.Errorf("join token: %w", err)
	}
	m := l.newMember(slot, nonvoter)
	if err := l.makeDisk(ctx, m); err != nil {
		return nil, err
	}
	if err := l.command(ctx, m.binary, "join", "--data-dir", m.Dir, "--token", token, "--peer-advertise", l.net.addr(slot, peerPort)); err != nil {
		return nil, err
	}
	l.Note("join", m.Name, "slot %d", slot)
	if err := l.firstStart(ctx, m); err != nil {
		return m, err
	}
	return m, nil
}

// Remove takes a member out of the configuration. Its process keeps running, and is
// not one of Members any more.
func (l *Lab) Remove(ctx context.Context, m *Member, force bool) error {
	err := l.admin(ctx, func(ctx context.Context, c *client.Client) error {
		_, err := c.ClusterRemove(ctx, m.ID, force)
		return err
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	m.lost, m.wanted, m.removed = true, false, time.Now()
	l.mu.Unlock()
	l.Note("remove", m.Name, "id %s", m.ID)
	return nil
}

// Removed lists the members that were taken out of the configuration, and
// whose processes still run.
func (l *Lab) Removed() []*Member {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*Member
	for _, m := range l.members {
		if !m.removed.IsZero() && m.running() {
			out = append(out, m)
		}
	}
	return out
}

// Removal is when a member was taken out of the configuration for good.
type Removal struct {
	Member string
	At     time.Time
}

// Removals are those that were acknowledged so far.
func (l *Lab) Removals() []Removal {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Removal
	for _, m := range l.members {
		if !m.removed.IsZero() {
			out = append(out, Removal{m.Name, m.removed})
		}
	}
	return out
}

// Transfer hands leadership to a member, to any when it is nil.
func (l *Lab) Transfer(ctx context.Context, m *Member) error {
	id := ""
	if m != nil {
		id = m.ID
	}
	return l.admin(ctx, func(ctx context.Context, c *client.Client) error {
		_, err := c.ClusterTransferLeadership(ctx, id)
		return err
	})
}

// Configured are the members of the cluster as its leader knows them.
func (l *Lab) Configured(ctx context.Context) ([]protocol.ClusterMember, error) {
	leader := l.Leader(ctx)
	if leader == nil {
		return nil, errors.New("nobody leads")
	}
	s, err := l.Status(ctx, leader)
	if err != nil {
		return nil, err
	}
	if s.State != "leader" {
		return nil, fmt.Errorf("%s leads no more", leader.Name)
	}
	return s.Members, nil
}

// Abandon gives a member up for good: it counts as lost, its process is ended
// and its slot is free. The configuration is left to RestoreShape.
func (l *Lab) Abandon(m *Member, why string) {
	l.mu.Lock()
	m.lost, m.wanted = true, false
	m.expected[Killed] = why
	l.mu.Unlock()
	_ = l.Kill(m) // it may be down already
	l.Note("abandon", m.Name, "%s", why)
	if l.Disks { // the image stays, the loop device is needed again
		ctx, cancel := context.WithTimeout(context.Background(), remountLimit)
		defer cancel()
		if err := l.unmount(ctx, m); err != nil {
			l.Note("error", m.Name, "%v", err)
		}
	}
}

// AwaitShape waits until the configuration has exactly the lab's members, with
// their votes, and all are ready.
func (l *Lab) AwaitShape(ctx context.Context) error {
	if err := await(ctx, func() error { return l.shape(ctx) }); err != nil {
		return err
	}
	return l.AwaitReady(ctx, l.Members()...)
}

// shape names the first difference between the configuration and the lab.
func (l *Lab) shape(ctx context.Context) error {
	configured, err := l.Configured(ctx)
	if err != nil {
		return err
	}
	byID := map[string]protocol.ClusterMember{}
	for _, c := range configured {
		byID[c.ID] = c
	}
	members := l.Members()
	for _, m := range members {
		c, ok := byID[m.ID]
		switch {
		case !ok:
			return fmt.Errorf("%s is not in the configuration", m.Name)
		case (c.Suffrage == "voter") == m.NonVoter:
			return fmt.Errorf("%s is a %s", m.Name, c.Suffrage)
		}
		delete(byID, m.ID)
	}
	for id := range byID {
		return fmt.Errorf("member %s is in the configuration and not in the lab", id)
	}
	if want := l.Voters + l.NonVoters; len(members) != want {
		return fmt.Errorf("the lab has %d members and wants %d", len(members), want)
	}
	return nil
}

// RestoreShape brings the cluster back to the members that the lab was made
// with: it removes from the configuration who was lost, gives up members that
// the configuration does not have, and lets new ones join in free slots. The
// network must be healed.
func (l *Lab) RestoreShape(ctx context.Context) error {
	for _, m := range l.Removed() { // it holds the addresses of its slot
		l.Abandon(m, "it was removed")
	}
	return await(ctx, func() error {
		configured, err := l.Configured(ctx)
		if err != nil {
			return err
		}
		if err := l.dropStrangers(ctx, configured); err != nil {
			return err
		}
		return l.fillSlots(ctx)
	})
}

func (l *Lab) dropStrangers(ctx context.Context, configured []protocol.ClusterMember) error {
	known := map[string]bool{}
	for _, m := range l.Members() {
		known[m.ID] = true
	}
	inside := map[string]bool{}
	for _, c := range configured {
		inside[c.ID] = true
		if known[c.ID] {
			continue
		}
		if err := l.Remove(ctx, &Member{ID: c.ID, Name: c.ID}, true); err != nil {
			return fmt.Errorf("remove %s: %w", c.ID, err)
		}
	}
	for _, m := range l.Members() {
		if !inside[m.ID] {
			l.Abandon(m, "the cluster has removed it")
		}
	}
	return nil
}

// fillSlots removes members beyond what the lab was made with, and lets new
// ones join where some are missing.
func (l *Lab) fillSlots(ctx context.Context) error {
	for _, m := range l.Members() {
		if m.Slot <= l.Voters+l.NonVoters {
			continue
		}
		if err := l.Remove(ctx, m, true); err != nil {
			return fmt.Errorf("remove %s: %w", m.Name, err)
		}
		l.Abandon(m, "it was an extra member")
	}
	taken, voters := map[int]bool{}, 0
	for _, m := range l.Members() {
		taken[m.Slot] = true
		if !m.NonVoter {
			voters++
		}
	}
	for slot := 1; slot <= l.Voters+l.NonVoters; slot++ {
		if taken[slot] {
			continue
		}
		nonvoter := voters >= l.Voters
		m, err := l.Join(ctx, slot, nonvoter)
		if err != nil {
			if m != nil {
				l.Abandon(m, "it did not get ready after joining")
			}
			return fmt.Errorf("join in slot %d: %w", slot, err)
		}
		if !nonvoter {
			voters++
		}
	}
	return nil
}
