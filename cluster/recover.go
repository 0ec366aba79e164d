// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// RecoverConfig says how a cluster is recovered that has lost its quorum for good.
type RecoverConfig struct {
	// DataDir is the survivor's: the cluster continues with what it holds.
	DataDir string
	// Others are further data directories that were saved. Recover refuses when
	// one of them has entries that DataDir lacks.
	Others []string
	// PeerAdvertise is where other members will reach this one; its address in
	// the configuration when empty.
	PeerAdvertise string
	// LogStore is the kind of log store that the members run with.
	LogStore string
	// Now is the time that names the backup; the wall clock when zero.
	Now time.Time
}

// RecoverPlan is what Recover will do, or has done.
type RecoverPlan struct {
	// Survivors are the data directories, the chosen one first.
	Survivors []*Survivor
	// LeftBehind are the other voters, by id.
	LeftBehind map[string]string
	// Epoch is the cluster's next one, which members left behind are fenced by.
	Epoch uint64
	// Backup is where the log and snapshots of DataDir are kept as they were.
	Backup string
	// Address is this member's.
	Address string
}

// fileRecover marks a recovery that has begun and not ended.
const fileRecover = "recovering"

// PlanRecover looks at everything and refuses what must not be done: a choice
// that loses more than it has to, and a cluster whose members still answer.
func PlanRecover(ctx context.Context, cfg RecoverConfig) (*RecoverPlan, error) {
	if err := undoRecover(cfg.DataDir); err != nil {
		return nil, err
	}
	chosen, err := Inspect(cfg.DataDir, cfg.LogStore)
	if err != nil {
		return nil, err
	}
	p := &RecoverPlan{Survivors: []*Survivor{chosen}, LeftBehind: maps.Clone(chosen.Voters), Epoch: chosen.Epoch + 1, Address: cfg.PeerAdvertise}
	delete(p.LeftBehind, chosen.MemberID)
	orDefault(&p.Address, chosen.Voters[chosen.MemberID])
	if err := CheckAdvertise(p.Address); err != nil {
		return nil, err
	}
	for _, path := range cfg.Others {
		other, err := Inspect(path, cfg.LogStore)
		if err != nil {
			return nil, err
		}
		p.Survivors = append(p.Survivors, other)
	}
	orDefault(&cfg.Now, time.Now())
	p.Backup = filepath.Join(cfg.DataDir, "before-recover-"+cfg.Now.UTC().Format("20060102T150405Z"))
	return p, errors.Join(p.check(), p.refuseTheLiving(ctx, cfg.DataDir))
}

func (p *RecoverPlan) check() error {
	chosen := p.Survivors[0]
	for _, other := range p.Survivors[1:] {
		switch {
		case other.ClusterID != chosen.ClusterID:
			return fmt.Errorf("%s belongs to cluster %s and %s to cluster %s: give data directories of one cluster", other.DataDir, other.ClusterID, chosen.DataDir, chosen.ClusterID)
		case other.Epoch > chosen.Epoch:
			return fmt.Errorf("the cluster was recovered before, without the member of %s: recover from %s", chosen.DataDir, other.DataDir)
		case other.Epoch == chosen.Epoch && other.newer(chosen):
			return fmt.Errorf("%s holds entries that %s lacks (it ends at entry %d of term %d, the other at %d of term %d): recover from it with --data-dir %s",
				other.DataDir, chosen.DataDir, other.LastIndex, other.Term, chosen.LastIndex, chosen.Term, other.DataDir)
		}
	}
	return nil
}

// refuseTheLiving asks the other voters. A cluster of which others still run
// has a quorum, or gets it back when they are started.
func (p *RecoverPlan) refuseTheLiving(ctx context.Context, path string) error {
	dir := &dataDir{path: path}
	file, err := dir.member()
	if err != nil {
		return err
	}
	id, err := dir.identity(file)
	if err != nil {
		return err
	}
	client := peer.NewClient(peer.ClientConfig{Identity: id, Addr: func(id string) (string, bool) { a, ok := p.LeftBehind[id]; return a, ok }})
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var mu sync.Mutex
	var alive []string
	var asked sync.WaitGroup
	for member, addr := range p.LeftBehind {
		asked.Go(func() {
			_, err := client.Call(ctx, member, rpcStatus, nil)
			var refused *protocol.Error
			if err == nil || errors.As(err, &refused) || notMember(err) {
				mu.Lock()
				defer mu.Unlock()
				alive = append(alive, fmt.Sprintf("%s (%s)", member, addr))
			}
		})
	}
	asked.Wait()
	if len(alive) == 0 {
		return nil
	}
	slices.Sort(alive)
	return fmt.Errorf("these members of the cluster run: %s. With enough of them there is a quorum and nothing to recover: start this member instead. If the quorum is lost all the same, stop them first and give their data directories with --other", strings.Join(alive, ", "))
}

// Recover makes the cluster go on with one member, which holds what its data
// directory holds, and fences the members that it leaves behind. The log and
// snapshots are kept in the plan's Backup.
func Recover(ctx context.Context, cfg RecoverConfig) (*RecoverPlan, error) {
	orDefault(&cfg.Now, time.Now())
	p, err := PlanRecover(ctx, cfg)
	if err != nil {
		return nil, err
	}
	dir, err := openDataDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	defer dir.close()
	s, err := inspect(dir, cfg.LogStore)
	if err != nil {
		return nil, err
	}
	if err := s.machine.Refound(&fsm.Refounding{ClusterID: s.ClusterID, Time: cfg.Now.UnixMilli(), Term: max(s.Term, s.logTerm) + 1,
		Action: protocol.EventClusterRecovered}); err != nil {
		return nil, err
	}
	fresh := &dataDir{path: dir.file(fileRecover + ".new")}
	if err := errors.Join(os.RemoveAll(fresh.path), os.MkdirAll(fresh.path, 0o700)); err != nil {
		return nil, err
	}
	if err := found(fresh, s.machine, cfg.LogStore, s.MemberID, p.Address); err != nil {
		return nil, err
	}
	return p, dir.exchange(fresh, p)
}

// fenced are the members that this recovery and those before it left behind:
// one that was switched off all the time still has to be told.
func (p *RecoverPlan) fenced(before map[string]string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, before)
	maps.Copy(all, p.LeftBehind)
	return all
}

// exchange puts the recovered log in place of the old one. After a crash in
// between, undoRecover goes back.
func (d *dataDir) exchange(fresh *dataDir, p *RecoverPlan) error {
	file, err := d.member()
	if err != nil {
		return err
	}
	if err := os.Mkdir(p.Backup, 0o700); err != nil {
		return err
	}
	old := &dataDir{path: p.Backup}
	// Whether a directory was moved is seen by where it is, so both are there.
	if err := errors.Join(os.MkdirAll(d.file(dirSnapshots), 0o700), old.writeMember(file), d.write([]byte(filepath.Base(p.Backup)), fileRecover)); err != nil {
		return err
	}
	for _, name := range []string{dirRaft, dirSnapshots} {
		if err := os.Rename(d.file(name), old.file(name)); err != nil {
			return err
		}
		if err := os.Rename(fresh.file(name), d.file(name)); err != nil {
			return err
		}
	}
	if err := errors.Join(syncDir(p.Backup), syncDir(d.path)); err != nil {
		return err
	}
	file.Epoch, file.Fenced = p.Epoch, p.fenced(file.Fenced)
	if err := d.writeMember(file); err != nil {
		return err
	}
	return errors.Join(d.remove(fileRecover), os.RemoveAll(fresh.path))
}

// undoRecover goes back to what a recovery that was cut off had moved away.
func undoRecover(path string) error {
	dir, err := openMember(path)
	if err != nil {
		return err
	}
	defer dir.close()
	raw, err := os.ReadFile(dir.file(fileRecover))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	old := &dataDir{path: dir.file(filepath.Base(strings.TrimSpace(string(raw))))}
	for _, name := range []string{dirRaft, dirSnapshots} {
		if !old.has(name) {
			continue // was not moved yet
		}
		if err := errors.Join(os.RemoveAll(dir.file(name)), os.Rename(old.file(name), dir.file(name))); err != nil {
			return err
		}
	}
	if was, err := old.member(); err == nil {
		if err := dir.writeMember(was); err != nil {
			return err
		}
	}
	return errors.Join(os.RemoveAll(old.path), os.RemoveAll(dir.file(fileRecover+".new")), dir.remove(fileRecover))
}

// has reports whether there is a file or directory.
func (d *dataDir) has(name string) bool {
	_, err := os.Stat(d.file(name))
	return err == nil
}

// refuseHalfRecovered keeps a member from starting on a log that a recovery
// was exchanging.
func (d *dataDir) refuseHalfRecovered() error {
	if _, err := os.Stat(d.file(fileRecover)); err == nil {
		return unusable("a recovery of %s was cut off: run `pilot-registry recover --data-dir %s` again", d.path, d.path)
	}
	return nil
}
