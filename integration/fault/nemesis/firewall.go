// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"context"
	"errors"
	"fmt"

	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
)

// firewallKinds have the kernel drop and reset packets, below the relays: the
// connections of both sides retransmit, back off and time out as on a real path.
var firewallKinds = []*Kind{
	{Name: "packets-one", Doc: "the kernel drops all packets of one member", group: groupNet, target: targetOne, run: packets(bothWays, "-j", "DROP"), missing: lab.NoFirewall},
	{Name: "packets-leader", Doc: "the kernel drops all packets of the leader", group: groupNet, target: targetLeader, run: packets(bothWays, "-j", "DROP"), missing: lab.NoFirewall},
	{Name: "packets-to-leader", Doc: "the kernel drops what members send to the leader", group: groupNet, target: targetLeader, run: packets(toIt, "-j", "DROP"), missing: lab.NoFirewall},
	{Name: "packets-from-leader", Doc: "the kernel drops what the leader sends to members", group: groupNet, target: targetLeader, run: packets(fromIt, "-j", "DROP"), missing: lab.NoFirewall},
	{Name: "packets-big", Doc: "the kernel drops the leader's packets of 600 bytes and more, small ones pass", group: groupNet, target: targetLeader, run: bigPacketsDropped, missing: lab.NoFirewall},
	{Name: "packets-lost", Doc: "the kernel drops a share of all packets between members", group: groupNet, args: between("percent", 3, 20), run: packetsLost, missing: lab.NoFirewall},
	{Name: "packets-reset", Doc: "the kernel answers packets to one member with resets", group: groupNet, target: targetOne, run: packets(toIt, "-j", "REJECT", "--reject-with", "tcp-reset"), missing: lab.NoFirewall},
	{Name: "packets-clients", Doc: "the kernel drops packets of clients to one member", group: groupNet, target: targetOne, run: packetsOfClients, missing: lab.NoFirewall},
}

// heading is which packets of a member and the others are meant.
type heading int

const (
	bothWays heading = iota
	toIt
	fromIt
)

// filters are rules in force.
type filters struct{ undo []func() error }

func (f *filters) add(undo func() error, err error) error {
	if undo != nil {
		f.undo = append(f.undo, undo)
	}
	return err
}

// clear takes all rules back, whatever became of one of them.
func (f *filters) clear() error {
	var errs []error
	for _, undo := range f.undo {
		errs = append(errs, undo())
	}
	return errors.Join(errs...)
}

// between sets a rule for every way between a slot and the others.
func (f *filters) between(e *env, slot int, way heading, rule []string) error {
	for _, other := range e.lab.Slots() {
		if other == slot {
			continue
		}
		if way != fromIt {
			if err := f.add(e.lab.Filter(other, slot, rule...)); err != nil {
				return err
			}
		}
		if way != toIt {
			if err := f.add(e.lab.Filter(slot, other, rule...)); err != nil {
				return err
			}
		}
	}
	return nil
}

func packets(way heading, rule ...string) func(context.Context, *env, Action) error {
	return func(ctx context.Context, e *env, a Action) error {
		members, err := e.targets(ctx, a)
		if err != nil {
			return err
		}
		// A leader that gets no answer, or gets none through, gives up by itself.
		e.foresee("its packets are dropped", e.lab.Members(), lab.Stalled)
		var f filters
		err = f.between(e, members[0].Slot, way, rule)
		if err == nil {
			until(ctx)
		}
		return errors.Join(err, f.clear())
	}
}

func bigPacketsDropped(ctx context.Context, e *env, a Action) error {
	return packets(fromIt, "-m", "length", "--length", "600:65535", "-j", "DROP")(ctx, e, a)
}

func packetsLost(ctx context.Context, e *env, a Action) error {
	rule := []string{"-m", "statistic", "--mode", "random", "--probability", fmt.Sprintf("0.%02d", a.Args["percent"]), "-j", "DROP"}
	e.foresee("packets are lost", e.lab.Members(), lab.Stalled)
	var f filters
	var err error
	for _, slot := range e.lab.Slots() {
		if err = f.between(e, slot, toIt, rule); err != nil {
			break
		}
	}
	if err == nil {
		until(ctx)
	}
	return errors.Join(err, f.clear())
}

func packetsOfClients(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	var f filters
	if err = f.add(e.lab.FilterClients(members[0].Slot, "-j", "DROP")); err == nil {
		until(ctx)
	}
	return errors.Join(err, f.clear())
}
