// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// fileMarks holds what this member knows of the other members' logs.
const fileMarks = "acknowledged"

// marksEvery is how often marks are written down, and sent by the leader.
const marksEvery = time.Second

// mark is what is known of a member's log. It is never more than what the member
// has on its disk: entries that are not committed may be replaced, and do not count.
type mark struct {
	// Since is where the log began anew, by a repair; 0 for the first log. What
	// is known of an older log says nothing of this one.
	Since uint64 `json:"since,omitempty"`
	// Index is of a committed entry that the log reaches, Term of one that it holds.
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
	// Seen is a term that the member has been in.
	Seen uint64 `json:"seen"`
}

// with is what is known from both marks.
func (m mark) with(o mark) mark {
	switch {
	case o.Since > m.Since:
		return o
	case o.Since < m.Since:
		return m
	}
	return mark{m.Since, max(m.Index, o.Index), max(m.Term, o.Term), max(m.Seen, o.Seen)}
}

// logEnd is where a member's log ends, and the newest term it has been in.
type logEnd struct{ index, term, seen uint64 }

// behind reports whether a log that ends there lacks something of the mark. A
// log that holds a committed entry of a term ends in that term or a later one.
func (m mark) behind(end logEnd) bool {
	return end.index < m.Index || end.term < m.Term || end.seen < m.Seen
}

// marks are what this member knows of the logs of the members: it keeps a member
// whose log went back, as one of an old copy of its data does, from voting.
// Leaders learn of their followers from the answers of these, followers of their
// leader from its messages, and of one another from the leader.
type marks struct {
	*self
	dir    *dataDir
	peers  caller
	roster interface{ ids() []string }

	mu      sync.Mutex
	known   map[string]mark
	version uint64 // counts changes
	written uint64 // the version in the file
}

// load reads the file. To know less is harmless, so damage is only reported.
func (m *marks) load() error {
	m.known = map[string]mark{}
	raw, err := os.ReadFile(m.dir.file(fileMarks))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	sum, body, _ := bytes.Cut(raw, []byte("\n"))
	known := map[string]mark{}
	if string(sum) != marksSum(body) || json.Unmarshal(body, &known) != nil {
		m.log.Warn("what this member knew of the other members' logs is damaged, and begins anew", "file", m.dir.file(fileMarks))
		return nil
	}
	m.known = known
	return nil
}

func marksSum(body []byte) string {
	return fmt.Sprintf("%08x", crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
}

// save writes the file if anything has changed.
func (m *marks) save() error {
	m.mu.Lock()
	body, err := json.Marshal(m.known)
	version, same := m.version, m.version == m.written
	m.mu.Unlock()
	if err != nil || same {
		return err
	}
	if err := m.dir.write(append([]byte(marksSum(body)+"\n"), body...), fileMarks); err != nil {
		return err
	}
	m.mu.Lock()
	m.written = version
	m.mu.Unlock()
	return nil
}

// keep writes the file from time to time. A file that is older than it could be
// protects less, which is no reason to stop.
func (m *marks) keep(ctx context.Context) {
	failed := false
	for rest(ctx, nil, marksEvery); ctx.Err() == nil; rest(ctx, nil, marksEvery) {
		m.prune()
		err := m.save()
		if err != nil && !failed {
			m.log.Warn("what is known of the other members' logs cannot be written down", "error", err)
		}
		failed = err != nil
	}
}

// acknowledged notes what a member has on its disk.
func (m *marks) acknowledged(member string, index, term, seen uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(member, mark{m.known[member].Since, index, term, seen})
}

// put adds to what is known of a member. The caller holds mu.
func (m *marks) put(member string, add mark) {
	old, had := m.known[member]
	if sum := old.with(add); member != m.id && member != "" && (!had || sum != old) {
		m.known[member] = sum
		m.version++
	}
}

// of is what is known of a member.
func (m *marks) of(member string) mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[member]
}

// anew forgets a member's log, which a repair is about to replace, and returns
// where its next one begins.
func (m *marks) anew(member string, since uint64) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	since = max(since, m.known[member].Since+1)
	m.put(member, mark{Since: since})
	return since
}

// prune forgets members that are gone.
func (m *marks) prune() {
	ids := map[string]bool{}
	for _, id := range m.roster.ids() {
		ids[id] = true
	}
	if !ids[m.id] {
		return // not in the cluster yet: the configuration says nothing
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.known)
	maps.DeleteFunc(m.known, func(id string, _ mark) bool { return !ids[id] })
	if len(m.known) != before {
		m.version++
	}
}

// share makes the leader's duty that tells the other members what it knows.
func (m *marks) share() func(context.Context, DutyEnv) {
	sent := map[string]uint64{} // the version that a member has
	return func(ctx context.Context, _ DutyEnv) {
		m.mu.Lock()
		known, version := maps.Clone(m.known), m.version
		m.mu.Unlock()
		var mu sync.Mutex
		var told sync.WaitGroup
		for _, id := range slices.DeleteFunc(m.roster.ids(), func(id string) bool { return id == m.id || sent[id] == version }) {
			told.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, statusTimeout)
				defer cancel()
				var reply struct{}
				if err := callJSON(ctx, m.peers, id, rpcMarks, known, &reply); err == nil || unknownRequest(err) {
					mu.Lock()
					defer mu.Unlock()
					sent[id] = version
				}
			})
		}
		told.Wait()
	}
}

// handleMarks takes what the leader knows.
func (m *marks) handleMarks(payload []byte) ([]byte, *protocol.Error) {
	known := map[string]mark{}
	if err := json.Unmarshal(payload, &known); err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "what is known of the members' logs cannot be read")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, k := range known {
		m.put(id, k)
	}
	return []byte("{}"), nil
}

// unknownRequest reports whether a member of an older version does not know the request.
func unknownRequest(err error) bool {
	var refused *protocol.Error
	return errors.As(err, &refused) && refused.Code == protocol.CodeNotImplemented
}
