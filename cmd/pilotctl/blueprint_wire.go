package main

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// provisionReply and directoryReply are what the replies hold.
type provisionReply struct {
	Name      string   `json:"name"`
	NetworkID uint16   `json:"network_id"`
	Created   bool     `json:"created"`
	Revision  uint64   `json:"revision"`
	Actions   []string `json:"actions"`
}

type directoryReply struct {
	Mapped   int      `json:"mapped"`
	Unmapped int      `json:"unmapped"`
	Updated  int      `json:"updated"`
	Disabled int      `json:"disabled"`
	Revision uint64   `json:"revision"`
	Actions  []string `json:"actions"`
}

// provisioner sends what blueprints and listings say.
type provisioner interface {
	provision(s *session, b *blueprint, c change) (json.RawMessage, error)
	syncDirectory(s *session, l *listing, c change) (json.RawMessage, error)
}

// sdkProvisioner sends it to a registry.
type sdkProvisioner struct{}

func (sdkProvisioner) provision(*session, *blueprint, change) (json.RawMessage, error) {
	return nil, notYet("provision_network")
}

func (sdkProvisioner) syncDirectory(*session, *listing, change) (json.RawMessage, error) {
	return nil, notYet("directory_sync")
}

func notYet(wire string) error {
	return &hinted{err: fmt.Errorf("%s: this version of pilotctl does not send it", wire), code: protocol.CodeNotImplemented, exit: exitFailure,
		hint: "upgrade pilotctl and the registry"}
}

// currentNetwork is a network as a blueprint.
type currentNetwork struct {
	id        uint16
	revision  uint64
	blueprint *blueprint
}

// current reads a network, named by id or name.
func (s *session) current(name string) (*currentNetwork, error) {
	listed, err := s.findNetwork(name)
	if err != nil {
		return nil, err
	}
	policy, err := s.client.GetNetworkPolicy(s.ctx, listed.ID)
	if err != nil {
		return nil, err
	}
	b := &blueprint{Name: listed.Name, JoinRule: listed.JoinRule, Enterprise: listed.Enterprise}
	if policy.MaxMembers != 0 || len(policy.AllowedPorts) > 0 || policy.Description != "" {
		b.Policy = &blueprintPolicy{AllowedPorts: policy.AllowedPorts, Description: policy.Description}
		if policy.MaxMembers != 0 {
			b.Policy.MaxMembers = &policy.MaxMembers
		}
	}
	return &currentNetwork{id: listed.ID, revision: policy.Revision, blueprint: b}, nil
}

func (s *session) findNetwork(name string) (protocol.ListedNetwork, error) {
	reply, err := s.client.ListNetworks(s.ctx)
	if err != nil {
		return protocol.ListedNetwork{}, err
	}
	for _, n := range reply.Networks {
		if n.Name == name || strconv.Itoa(int(n.ID)) == name {
			return n, nil
		}
	}
	return protocol.ListedNetwork{}, &hinted{err: fmt.Errorf("no network %q", name), code: protocol.CodeNotFound, exit: exitNotFound,
		hint: "pilotctl network list shows them"}
}
