// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// lookEvery is the pause between two looks at something awaited.
const lookEvery = 20 * time.Millisecond

// await looks until done says so; the error names what was missing last.
func await(ctx context.Context, look func() error) error {
	for {
		err := look()
		if err == nil {
			return nil
		}
		t := time.NewTimer(lookEvery)
		select {
		case <-ctx.Done():
			t.Stop()
			return errors.Join(ctx.Err(), err)
		case <-t.C:
		}
	}
}

func (l *Lab) get(ctx context.Context, m *Member, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.Ops()+path, nil)
	if err != nil {
		return nil, err
	}
	return l.watch.client.Do(req)
}

// Status is what a member knows of the cluster.
func (l *Lab) Status(ctx context.Context, m *Member) (s protocol.ClusterStatusReply, err error) {
	resp, err := l.get(ctx, m, "/status")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// ByName finds a member of today.
func (l *Lab) ByName(name string) *Member {
	for _, m := range l.Everyone() {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// AwaitReady waits until members say that they are ready for traffic.
func (l *Lab) AwaitReady(ctx context.Context, members ...*Member) error {
	for _, m := range members {
		err := await(ctx, func() error {
			if !l.Running(m) {
				return fmt.Errorf("%s is down", m.Name)
			}
			resp, err := l.get(ctx, m, "/readyz?verbose")
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				var text [2048]byte
				n, _ := resp.Body.Read(text[:]) // the status says enough
				return fmt.Errorf("%s is not ready: %s", m.Name, text[:n])
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Leader is the member that leads in the highest term seen, among those that
// answer; nil when there is none.
func (l *Lab) Leader(ctx context.Context) *Member {
	var leader *Member
	var term uint64
	for _, m := range l.Up() {
		if s, err := l.Sample(ctx, m); err == nil && s.Leader && s.Term >= term {
			leader, term = m, s.Term
		}
	}
	return leader
}

// AwaitLeader waits for a leader that is none of the given members.
func (l *Lab) AwaitLeader(ctx context.Context, not ...*Member) (*Member, error) {
	var leader *Member
	err := await(ctx, func() error {
		leader = l.Leader(ctx)
		for _, m := range not {
			if leader == m {
				return fmt.Errorf("%s still leads", m.Name)
			}
		}
		if leader == nil {
			return errors.New("nobody leads")
		}
		return nil
	})
	return leader, err
}

// AwaitEqualDigests waits until all members of today have shown one digest at
// one index. It returns at once, with a [DivergedError], when two members show
// different digests at one index. Load must have stopped.
func (l *Lab) AwaitEqualDigests(ctx context.Context) (digest string, index uint64, err error) {
	seen := map[uint64]map[string]string{} // index → member → digest
	var diverged error
	err = await(ctx, func() error {
		members := l.Members()
		for _, m := range members {
			s, err := l.steadyStatus(ctx, m)
			if err != nil {
				return err
			}
			at := seen[s.AppliedIndex]
			if at == nil {
				at = map[string]string{}
				seen[s.AppliedIndex] = at
			}
			at[m.Name] = s.Digest
			for other, d := range at {
				if d != s.Digest {
					diverged = &DivergedError{Index: s.AppliedIndex, A: m.Name, B: other, DigestA: s.Digest, DigestB: d}
					return nil
				}
			}
			digest, index = s.Digest, s.AppliedIndex
		}
		if at := seen[index]; len(at) < len(members) {
			return fmt.Errorf("only %d of %d members have shown index %d", len(at), len(members), index)
		}
		return nil
	})
	return digest, index, errors.Join(diverged, err)
}

// DivergedError says that two members have different states at one index.
type DivergedError struct {
	Index            uint64
	A, B             string
	DigestA, DigestB string
}

// Error names the members.
func (e *DivergedError) Error() string {
	return fmt.Sprintf("at index %d %s has digest %s and %s has %s", e.Index, e.A, e.DigestA, e.B, e.DigestB)
}

// steadyStatus is a status whose index and digest belong together: they are
// not taken at one moment, so they must be the same twice.
func (l *Lab) steadyStatus(ctx context.Context, m *Member) (protocol.ClusterStatusReply, error) {
	first, err := l.Status(ctx, m)
	if err != nil {
		return first, err
	}
	second, err := l.Status(ctx, m)
	if err == nil && (first.AppliedIndex != second.AppliedIndex || first.Digest != second.Digest) {
		err = fmt.Errorf("%s moves on from index %d", m.Name, first.AppliedIndex)
	}
	return second, err
}
