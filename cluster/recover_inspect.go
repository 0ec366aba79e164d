// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/pilotregistry/pilotregistry/fsm"
)

// Survivor is what a data directory of a member that is not running holds.
type Survivor struct {
	DataDir   string
	ClusterID string
	MemberID  string
	// Epoch counts how often the cluster was recovered without its quorum.
	Epoch uint64
	// Term and LastIndex are of the newest entry: whoever has the highest, the
	// term first, has every acknowledged entry that any of them has.
	Term, LastIndex uint64
	// Known is the index up to which this member knew that entries are committed.
	Known uint64
	// Voters are the members that vote, by id, as the newest configuration has it.
	Voters map[string]string
	// Root is the state with all entries applied.
	Root *fsm.Root

	machine *fsm.Machine
	// logTerm is the newest term that this member has taken part in.
	logTerm uint64
}

// LogTime is the log time of the newest state.
func (s *Survivor) LogTime() time.Time { return time.UnixMilli(s.Root.Now()).UTC() }

// newer reports whether s has entries that other lacks.
func (s *Survivor) newer(other *Survivor) bool {
	return s.Term > other.Term || s.Term == other.Term && s.LastIndex > other.LastIndex
}

// Inspect reads the data directory of a member that is not running. It changes
// nothing in it.
func Inspect(path, logStore string) (*Survivor, error) {
	dir, err := openMember(path)
	if err != nil {
		return nil, err
	}
	defer dir.close()
	return inspect(dir, logStore)
}

func inspect(dir *dataDir, logStore string) (*Survivor, error) {
	file, err := dir.member()
	if err != nil {
		return nil, err
	}
	orDefault(&logStore, store.KindBolt)
	s := &Survivor{DataDir: dir.path, ClusterID: file.ClusterID, MemberID: file.MemberID, Epoch: file.Epoch, Voters: map[string]string{}, machine: fsm.New()}
	if err := s.readSnapshot(dir); err != nil {
		return nil, fmt.Errorf("%s: %w", dir.path, err)
	}
	if _, err := os.Stat(dir.file(dirRaft)); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no log: this member has never run", dir.path)
	}
	if err := s.readLog(dir, logStore); err != nil {
		return nil, fmt.Errorf("%s: %w", dir.path, err)
	}
	s.Root = s.machine.Root()
	if s.Root.ClusterID() == "" {
		return nil, fmt.Errorf("%s holds no state: this member has never been in touch with its cluster", dir.path)
	}
	return s, nil
}

// readSnapshot takes the newest usable snapshot.
func (s *Survivor) readSnapshot(dir *dataDir) error {
	snaps, err := store.OpenSnapshots(dir.path, 2, hclog.NewNullLogger(), func(error) {})
	if err != nil {
		return err
	}
	metas, err := snaps.List()
	if err != nil {
		return err
	}
	for _, meta := range metas {
		_, rc, err := snaps.Open(meta.ID)
		if err == nil {
			err = errors.Join(s.machine.Restore(rc), rc.Close())
		}
		if err != nil {
			continue // an older one may do; the log says whether it reaches far enough
		}
		s.Term, s.LastIndex, s.Known = meta.Term, meta.Index, meta.Index
		s.follow(meta.Configuration)
		return nil
	}
	return nil
}

// readLog applies the entries after the snapshot, also those of which this
// member does not know whether they are committed: one of them may have been
// acknowledged.
func (s *Survivor) readLog(dir *dataDir, kind string) error {
	logs, err := store.Open(dir.file(dirRaft), kind, store.Options{Member: s.MemberID})
	if err != nil {
		return err
	}
	defer logs.Close()
	if s.logTerm, err = logs.GetUint64([]byte("CurrentTerm")); err != nil {
		return err
	}
	first, err := logs.FirstIndex()
	if err != nil {
		return err
	}
	last, err := logs.LastIndex()
	if err != nil {
		return err
	}
	if first > s.LastIndex+1 && last > 0 {
		return fmt.Errorf("the log begins at entry %d and the newest usable snapshot ends at %d: entries are missing", first, s.LastIndex)
	}
	s.Known = max(s.Known, logs.Applied())
	for index := max(first, s.LastIndex+1); last > 0 && index <= last; index++ {
		var entry raft.Log
		if err := logs.GetLog(index, &entry); err != nil {
			return err
		}
		if err := s.apply(&entry); err != nil {
			return err
		}
	}
	return nil
}

func (s *Survivor) apply(entry *raft.Log) error {
	switch entry.Type {
	case raft.LogCommand:
		if _, err := s.machine.Apply(entry.Index, entry.Term, entry.Data); err != nil {
			return err
		}
	case raft.LogConfiguration:
		s.machine.Configuration(entry.Index, entry.Term)
		s.follow(raft.DecodeConfiguration(entry.Data))
	}
	s.Term, s.LastIndex = entry.Term, entry.Index
	return nil
}

func (s *Survivor) follow(c raft.Configuration) {
	clear(s.Voters)
	for _, server := range c.Servers {
		if server.Suffrage == raft.Voter {
			s.Voters[string(server.ID)] = string(server.Address)
		}
	}
}
