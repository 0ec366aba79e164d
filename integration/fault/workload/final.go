// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	// poll is the pause between two looks at a member that is not there yet.
	poll = 20 * time.Millisecond
	// finalTries is how often a final read is made before it is given up. The
	// members have answered just before, and every try counts for its key.
	finalTries = 3
)

// awaitMembers waits until every member answers a linearizable read. These
// reads are not recorded: they change nothing and say nothing.
func awaitMembers(ctx context.Context, env *Env) error {
	row := protocol.Must("lookup")
	c := NewClient(env, "await")
	defer c.Close()
	r := Request{Command: "lookup", Body: &protocol.NodeRequest{NodeID: 1}}
	options := protocol.Options{Consistency: protocol.Linearizable}
	frame := c.frame(row, r, options)
	for _, m := range env.Members() {
		for {
			var op history.Op
			v := c.sendOnce(ctx, row, m, frame, &op)
			if v.Outcome == history.OK || v.Code == protocol.CodeNotFound {
				break
			}
			if err := pause(ctx); err != nil {
				return fmt.Errorf("member %s does not serve linearizable reads (%s: %s): %w", m.Name, v.Code, v.Text, err)
			}
		}
	}
	return nil
}

func pause(ctx context.Context) error {
	t := time.NewTimer(poll)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// readEverywhere makes final reads through every member: a linearizable one,
// and then what that member itself has.
func readEverywhere(ctx context.Context, env *Env, name string, reads []Request) error {
	members := env.Members()
	failed := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := NewClient(env, name+"-final")
			defer c.Close()
			failed[i] = c.readFrom(ctx, m, reads)
		}()
	}
	wg.Wait()
	return errors.Join(failed...)
}

func (c *Client) readFrom(ctx context.Context, m Member, reads []Request) error {
	for _, r := range reads {
		for _, level := range []protocol.Level{protocol.Linearizable, protocol.Stale} {
			r.Member, r.Level, r.Final = m, level, true
			if err := c.finalRead(ctx, r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Client) finalRead(ctx context.Context, r Request) error {
	var op history.Op
	for range finalTries {
		op = c.Do(ctx, r)
		if op.Outcome == history.OK || op.Code == protocol.CodeNotFound {
			return nil
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("member %s did not answer the final %s of %s: %s %s", r.Member.Name, r.Command, r.Key, op.Code, op.Text)
}

// Digests records the state digest of every member, all at one index. The
// cluster is idle but for the ticks of its clock.
func Digests(ctx context.Context, env *Env, workload string) error {
	if env.Status == nil {
		return errors.New("Env.Status is needed to read digests")
	}
	for {
		ops, err := digests(ctx, env, workload)
		if err == nil {
			for _, op := range ops {
				env.Recorder.Record(op)
			}
			return nil
		}
		if ended := pause(ctx); ended != nil {
			return fmt.Errorf("the members never showed one index together (%w): %w", err, ended)
		}
	}
}

// digests looks at every member once.
func digests(ctx context.Context, env *Env, workload string) ([]history.Op, error) {
	var ops []history.Op
	for _, m := range env.Members() {
		op := history.Op{Client: workload + "-digest", Workload: workload, Command: history.CommandDigest, Key: history.CommandDigest,
			Member: m.Name, Outcome: history.OK, Final: true, Call: env.Recorder.Now()}
		before, err := env.Status(ctx, m.Name)
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", m.Name, err)
		}
		after, err := env.Status(ctx, m.Name)
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", m.Name, err)
		}
		// Index and digest of a status are not of one moment. They belong
		// together when neither has changed over two of them.
		if before.AppliedIndex != after.AppliedIndex || before.Digest != after.Digest {
			return nil, fmt.Errorf("member %s moves on from index %d to %d", m.Name, before.AppliedIndex, after.AppliedIndex)
		}
		op.Index, op.Value, op.Return = after.AppliedIndex, after.Digest, env.Recorder.Now()
		if len(ops) > 0 && ops[0].Index != op.Index {
			return nil, fmt.Errorf("member %s is at index %d, member %s at %d", ops[0].Member, ops[0].Index, m.Name, op.Index)
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// models picks models by kind.
func models(kinds ...string) []check.Model {
	all := check.Models()
	var out []check.Model
	for _, k := range kinds {
		out = append(out, all[k])
	}
	return out
}
