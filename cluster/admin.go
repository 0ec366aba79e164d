// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// AdminClient talks to the member that runs on a data directory, over its peer
// port and with its own certificate: whoever can read the directory may administer it.
type AdminClient struct {
	id     string
	client *peer.Client
}

// ErrNotRunning is that no member answers on a data directory.
var ErrNotRunning = errors.New("no member runs there")

// DialAdmin finds the running member of a data directory. It does not take the
// directory's lock. Nothing is sent before the first call.
func DialAdmin(path string) (*AdminClient, error) {
	dir := &dataDir{path: path}
	m, err := dir.member()
	if err != nil {
		return nil, err
	}
	id, err := dir.identity(m)
	if err != nil {
		return nil, err
	}
	addr, err := os.ReadFile(dir.file(filePeerAddr))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: no member has been started: %w", path, ErrNotRunning)
	}
	if err != nil {
		return nil, err
	}
	target := strings.TrimSpace(string(addr))
	client := peer.NewClient(peer.ClientConfig{Identity: id, Addr: func(string) (string, bool) { return target, true }})
	return &AdminClient{id: m.MemberID, client: client}, nil
}

// Close ends the connection.
func (a *AdminClient) Close() { a.client.Close() }

func (a *AdminClient) call(ctx context.Context, req adminRequest) (adminReply, error) {
	var reply adminReply
	raw, err := json.Marshal(req)
	if err != nil {
		return reply, err
	}
	answer, err := a.client.Call(ctx, a.id, rpcAdmin, raw)
	var refused *protocol.Error
	if errors.As(err, &refused) {
		return reply, refused
	}
	if err != nil {
		return reply, fmt.Errorf("the member does not answer, is it running? %w: %w", ErrNotRunning, err)
	}
	return reply, json.Unmarshal(answer, &reply)
}

// Status is what the member knows of the cluster; it works without a quorum.
func (a *AdminClient) Status(ctx context.Context) (protocol.ClusterStatusReply, error) {
	r, err := a.call(ctx, adminRequest{Op: opStatus})
	return r.Status, err
}

// Members lists the members.
func (a *AdminClient) Members(ctx context.Context) ([]protocol.ClusterMember, error) {
	r, err := a.call(ctx, adminRequest{Op: opMembers})
	return r.Members, err
}

// JoinToken mints a join token, valid for ttl (1 h when 0).
func (a *AdminClient) JoinToken(ctx context.Context, nonvoter bool, ttl time.Duration) (string, time.Time, error) {
	if ttl < 0 || ttl > joinTokenMaxTTL {
		return "", time.Time{}, fmt.Errorf("a join token cannot be valid for %s: want more than nothing and at most 720h, which is 30 days", ttl)
	}
	orDefault(&ttl, joinTokenTTL)
	r, err := a.call(ctx, adminRequest{Op: opJoinToken, NonVoter: nonvoter, TTLMS: ttl.Milliseconds()})
	return r.Token, time.UnixMilli(r.Expires), err
}

// Promote gives a member a vote.
func (a *AdminClient) Promote(ctx context.Context, memberID string) error {
	_, err := a.call(ctx, adminRequest{Op: opPromote, ID: memberID})
	return err
}

// Remove takes a member out of the cluster.
func (a *AdminClient) Remove(ctx context.Context, memberID string, force bool) error {
	_, err := a.call(ctx, adminRequest{Op: opRemove, ID: memberID, Force: force})
	return err
}

// Repair gives a quarantined member the log and state of the others.
func (a *AdminClient) Repair(ctx context.Context, memberID string) error {
	_, err := a.call(ctx, adminRequest{Op: opRepair, ID: memberID})
	return err
}

// Transfer hands leadership over, to any voter when memberID is empty.
func (a *AdminClient) Transfer(ctx context.Context, memberID string) error {
	_, err := a.call(ctx, adminRequest{Op: opTransfer, ID: memberID})
	return err
}

// RotateKeys puts a new keyring version into force and returns its number.
func (a *AdminClient) RotateKeys(ctx context.Context) (uint32, error) {
	r, err := a.call(ctx, adminRequest{Op: opRotateKeys})
	return r.KeyVersion, err
}

// Leave takes this member out of the cluster; its process then stops.
func (a *AdminClient) Leave(ctx context.Context) error {
	_, err := a.call(ctx, adminRequest{Op: opLeave})
	return err
}
