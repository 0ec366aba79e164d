// SPDX-License-Identifier: Apache-2.0

//lint:file-ignore SA1019 raft itself still reads the fields Leader and Candidate

package cluster

import (
	"errors"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/cluster/base/store"
)

// impostor speaks raft's protocol with the certificate of a stopped member.
type impostor struct {
	id    string
	trans *raft.NetworkTransport
	to    *member
}

// impostor stops m and takes its place towards another member.
func (c *cluster) impostor(m, to *member) *impostor {
	c.t.Helper()
	m.kill()
	dir := &dataDir{path: m.cfg.DataDir}
	file, err := dir.member()
	if err != nil {
		c.t.Fatal(err)
	}
	id, err := dir.identity(file)
	if err != nil {
		c.t.Fatal(err)
	}
	srv, err := peer.Listen("127.0.0.1:0", peer.ServerConfig{Identity: id})
	if err != nil {
		c.t.Fatal(err)
	}
	trans := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: srv.Raft(nil), MaxPool: 2, MaxRPCsInFlight: 1, Timeout: patience, MsgpackUseNewTimeFormat: true})
	c.t.Cleanup(func() { trans.Close(); srv.Close() })
	return &impostor{id: m.id, trans: trans, to: to}
}

// send sends a request as the leader of its term.
func (i *impostor) send(req raft.AppendEntriesRequest) (raft.AppendEntriesResponse, error) {
	self := peer.RaftAddress(i.id, i.to.cfg.PeerAddr)
	req.RPCHeader = raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(i.id), Addr: []byte(self)}
	if req.Leader == nil {
		req.Leader = []byte(self)
	}
	var resp raft.AppendEntriesResponse
	err := i.trans.AppendEntries(raft.ServerID(i.to.id), peer.RaftAddress(i.to.id, i.to.cfg.PeerAddr), &req, &resp)
	return resp, err
}

// vote asks for a vote, as a candidate whose log ends as given.
func (i *impostor) vote(term uint64, last *raft.Log) (resp raft.RequestVoteResponse, err error) {
	self := peer.RaftAddress(i.id, i.to.cfg.PeerAddr)
	err = i.trans.RequestVote(raft.ServerID(i.to.id), peer.RaftAddress(i.to.id, i.to.cfg.PeerAddr), &raft.RequestVoteRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(i.id), Addr: []byte(self)},
		Candidate: []byte(self), Term: term, LastLogIndex: last.Index, LastLogTerm: last.Term, LeadershipTransfer: true,
	}, &resp)
	return resp, err
}

// entry is what the impostor's store would make of an empty entry.
func (i *impostor) entry(index, term uint64) *raft.Log {
	s, err := store.Open(i.to.t.TempDir(), store.KindBolt, store.Options{Member: i.id})
	e := &raft.Log{Index: index, Term: term, Type: raft.LogNoop}
	if err == nil {
		err = errors.Join(s.StoreLog(e), s.Close())
	}
	if err != nil {
		i.to.t.Fatal(err)
	}
	return e
}
