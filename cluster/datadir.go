// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
)

// UnusableError says that a data directory must not be used: starting again
// will not help, and the process should end with ExitDamaged.
type UnusableError struct{ Reason string }

// Error is the reason and what to do.
func (e *UnusableError) Error() string { return e.Reason }

func unusable(format string, args ...any) error {
	return &UnusableError{Reason: fmt.Sprintf(format, args...)}
}

// A data directory holds:
//
//	member.json      who this member is; written last, so its presence means complete
//	bootstrap.json   seeds of a new cluster, only until they are applied
//	peer.addr        the peer address of the running process, for DialAdmin
//	feature-level    the highest feature level applied here
//	keyring          the cluster's secret keys
//	lock             held while a process uses the directory
//	tls/             ca.pem, member.pem, member.key; member.key.next while the certificate is exchanged
//	raft/            log, term and vote (package store)
//	snapshots/       raft snapshots
//	acknowledged     how far the other members' logs are known to reach
//	recovering       only while a recovery exchanges log and snapshots
//	before-recover-* log and snapshots as they were before a recovery
//	before-repair-*  log and snapshots as they were before a repair
type dataDir struct {
	path string
	lock *os.File
}

// memberFile is member.json.
type memberFile struct {
	ClusterID string `json:"cluster_id"`
	MemberID  string `json:"member_id"`
	// NonVoter: this member does not ask for a vote.
	NonVoter bool `json:"nonvoter,omitempty"`
	// Seeds are the members known when this one joined, by id.
	Seeds map[string]string `json:"seeds,omitempty"`
	// Left: this member left its cluster for good.
	Left bool `json:"left,omitempty"`
	// Epoch counts how often the cluster was recovered without its quorum.
	Epoch uint64 `json:"epoch,omitempty"`
	// Fenced are the members that recoveries left behind, by id.
	Fenced map[string]string `json:"fenced,omitempty"`
	// Repair is where the log begins anew at the next start, 0 when it does not,
	// Repaired where it did last.
	Repair   uint64 `json:"repair,omitempty"`
	Repaired uint64 `json:"repaired,omitempty"`
}

const (
	fileMember    = "member.json"
	fileBootstrap = "bootstrap.json"
	fileKeyring   = "keyring"
	filePeerAddr  = "peer.addr"
	dirRaft       = "raft"
	dirSnapshots  = "snapshots"
	dirTLS        = "tls"
)

func (d *dataDir) file(parts ...string) string {
	return filepath.Join(append([]string{d.path}, parts...)...)
}

// openDataDir creates the directory when needed and locks it.
func openDataDir(path string) (*dataDir, error) {
	if path == "" {
		return nil, errors.New("no data directory given")
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("data directory %s is in use by another process: stop it first (lock: %w)", path, err)
	}
	return &dataDir{path: path, lock: lock}, nil
}

// openMember locks the directory of a member. It creates and changes nothing
// where there is none: the path may be a mistake.
func openMember(path string) (*dataDir, error) {
	if _, err := (&dataDir{path: path}).member(); err != nil {
		return nil, err
	}
	return openDataDir(path)
}

// close gives the lock back.
func (d *dataDir) close() { _ = d.lock.Close() }

// HoldsMember reports whether a data directory belongs to a member. One that
// does not exist does not. It changes nothing.
func HoldsMember(path string) (bool, error) {
	dir := &dataDir{path: path}
	for _, name := range []string{fileMember, dirRaft} {
		if _, err := os.Stat(dir.file(name)); err == nil {
			return true, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return false, err
		}
	}
	return false, nil
}

// openNew opens the data directory of a member that is to be made.
func openNew(ctx context.Context, path string) (*dataDir, error) {
	dir, err := openDataDir(path)
	if err != nil {
		return nil, err
	}
	if err := cmp.Or(dir.requireEmpty(), ctx.Err()); err != nil {
		dir.close()
		return nil, err
	}
	return dir, nil
}

// requireEmpty refuses a directory that already belongs to a member.
func (d *dataDir) requireEmpty() error {
	for _, name := range []string{fileMember, dirRaft} {
		if _, err := os.Stat(d.file(name)); err == nil {
			return fmt.Errorf("%s already holds a member (%s exists): start it, or use an empty directory", d.path, name)
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (d *dataDir) member() (memberFile, error) {
	var m memberFile
	raw, err := os.ReadFile(d.file(fileMember))
	switch {
	case errors.Is(err, os.ErrNotExist):
		if _, statErr := os.Stat(d.file(dirRaft)); statErr == nil {
			return m, unusable("%s is incomplete: it holds a raft log but no %s; restore the file, or join again with an empty directory", d.path, fileMember)
		}
		return m, fmt.Errorf("%s holds no member: run `pilot-registry init` for the first member of a cluster or `pilot-registry join` for another one", d.path)
	case err != nil:
		return m, err
	}
	if err := json.Unmarshal(raw, &m); err != nil || m.ClusterID == "" || m.MemberID == "" {
		return m, unusable("%s is damaged: restore the file, or join again with an empty directory", d.file(fileMember))
	}
	if m.Left {
		return m, unusable("member %s has left cluster %s: join again with an empty data directory", m.MemberID, m.ClusterID)
	}
	return m, nil
}

func (d *dataDir) writeMember(m memberFile) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return d.write(append(raw, '\n'), fileMember)
}

func (d *dataDir) keyring() (*keyring.Keyring, error) {
	ring, err := keyring.Open(d.file(fileKeyring))
	if err != nil {
		return nil, err
	}
	return ring, nil
}

// write replaces a file so that after a crash it is whole, old or new.
func (d *dataDir) write(data []byte, parts ...string) error {
	path := d.file(parts...)
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func (d *dataDir) remove(name string) error {
	if err := os.Remove(d.file(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return syncDir(d.path)
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
