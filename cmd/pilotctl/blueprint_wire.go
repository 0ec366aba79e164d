// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// provisionReply and directoryReply are what the replies hold.
type provisionReply struct {
	Name      string   `json:"name"`
	NetworkID uint16   `json:"network_id"`
	Created   bool     `json:"created"`
	Revision  uint64   `json:"revision"`
	Actions   []string `json:"actions"`
	Warnings  []string `json:"warnings,omitempty"`
}

type directoryReply struct {
	Mapped      int      `json:"mapped"`
	Unmapped    int      `json:"unmapped"`
	Updated     int      `json:"updated"`
	Disabled    int      `json:"disabled"`
	PreAssigned int      `json:"pre_assigned"`
	Hostnames   int      `json:"hostnames"`
	NearMisses  int      `json:"near_misses,omitempty"`
	Revision    uint64   `json:"revision"`
	Actions     []string `json:"actions"`
	Warnings    []string `json:"warnings,omitempty"`
}

// provisioner sends what blueprints and listings say.
type provisioner interface {
	provision(s *session, b *blueprint, c change) (json.RawMessage, error)
	syncDirectory(s *session, l *listing, c change) (json.RawMessage, error)
}

// sdkProvisioner sends it to a registry.
type sdkProvisioner struct{}

func (sdkProvisioner) provision(s *session, b *blueprint, c change) (json.RawMessage, error) {
	return s.call("provision_network", &protocol.ProvisionNetwork{Blueprint: b.wire(), IfRevision: c.ifRevision, IfConfigRevision: c.ifConfig}, c.callOptions()...)
}

func (sdkProvisioner) syncDirectory(s *session, l *listing, c change) (json.RawMessage, error) {
	parts, done := sending(s.app, "directory_sync")
	defer done()
	res, err := s.client.SyncDirectory(s.ctx, *l.wire(c), append(append(s.callOptions(), c.callOptions()...), parts)...)
	switch {
	case res == nil:
		return nil, err
	case err != nil:
		s.say("note: the rest of a long reply could not be had: %v", err)
	case res.Replayed:
		s.say("this request id had been decided before; nothing was done again")
	}
	return res.Raw, nil
}

// wire is the listing as the registry takes it.
func (l *listing) wire(c change) *protocol.DirectorySync {
	r := &protocol.DirectorySync{NetworkID: l.NetworkID, RemoveUnlisted: l.RemoveUnlisted, IfRevision: c.ifRevision}
	if c.confirm != nil {
		confirmed := uint64(*c.confirm)
		r.ConfirmRemovals = &confirmed
	}
	for _, e := range l.Entries {
		r.Entries = append(r.Entries, protocol.DirectoryEntry{ExternalID: e.ExternalID, Role: e.Role, Disabled: e.Disabled, DisplayName: e.DisplayName})
	}
	return r
}

func (c change) callOptions() []client.CallOption {
	if c.dryRun {
		return []client.CallOption{client.WithDryRun()}
	}
	return nil
}

// wire is the blueprint as the registry takes it.
func (b *blueprint) wire() *protocol.Blueprint {
	out := &protocol.Blueprint{Name: b.Name, JoinRule: b.JoinRule, JoinToken: protocol.Secret(b.JoinToken), Enterprise: b.Enterprise,
		NetworkAdminToken: protocol.Secret(b.NetworkAdminToken)}
	if p := b.Policy; p != nil {
		out.Policy = &protocol.BlueprintPolicy{AllowedPorts: p.AllowedPorts, Description: p.Description}
		if p.MaxMembers != nil {
			out.Policy.MaxMembers = int64(*p.MaxMembers)
		}
	}
	for _, r := range b.Roles {
		out.Roles = append(out.Roles, protocol.BlueprintRole{ExternalID: r.ExternalID, Role: r.Role})
	}
	if p := b.IdentityProvider; p != nil {
		provider := protocol.BlueprintIdentityProvider(*p)
		out.IdentityProvider = &provider
	}
	if w := b.Webhooks; w != nil {
		webhooks := protocol.BlueprintWebhooks(*w)
		out.Webhooks = &webhooks
	}
	if e := b.AuditExport; e != nil {
		out.AuditExport = &protocol.BlueprintAuditExport{Format: e.Format, Endpoint: e.Endpoint, Token: protocol.Secret(e.Token), Index: e.Index, Source: e.Source}
	}
	return out
}

// currentNetwork is a network as a blueprint.
type currentNetwork struct {
	id        uint16
	revision  uint64
	blueprint *blueprint
}

// current reads a network, named by id or name.
func (s *session) current(name string) (*currentNetwork, error) {
	n, err := s.findProvisioned(name)
	if err != nil {
		return nil, err
	}
	b := &blueprint{Name: n.Name, JoinRule: n.JoinRule, Enterprise: n.Enterprise, ExprPolicy: n.ExprPolicy}
	if n.MaxMembers != 0 || len(n.AllowedPorts) > 0 || n.Description != "" {
		b.Policy = &blueprintPolicy{AllowedPorts: n.AllowedPorts, Description: n.Description}
		if n.MaxMembers != 0 {
			b.Policy.MaxMembers = &n.MaxMembers
		}
	}
	for _, r := range n.Roles {
		b.Roles = append(b.Roles, blueprintRole{ExternalID: r.ExternalID, Role: r.Role})
	}
	return &currentNetwork{id: n.NetworkID, revision: n.Revision, blueprint: b}, nil
}

// addGlobal adds the registry-wide settings of those kinds that a file mentions.
func (s *session) addGlobal(to, file *blueprint) error {
	if file.IdentityProvider != nil {
		reply, err := client.Call[protocol.GetIDPConfigReply](s.ctx, s.client, "get_idp_config", &protocol.GetIDPConfig{})
		if err != nil {
			return err
		}
		to.IdentityProvider = &blueprintIdentityProvider{Type: reply.IDPType, URL: reply.URL, Issuer: reply.Issuer, ClientID: reply.ClientID,
			TenantID: reply.TenantID, Domain: reply.Domain}
	}
	if file.Webhooks == nil && file.AuditExport == nil {
		return nil
	}
	reply, err := client.Call[protocol.AuditSinkListReply](s.ctx, s.client, "audit_sink_list", nil)
	if err != nil {
		return err
	}
	for _, sink := range reply.Sinks {
		switch sink.Name {
		case protocol.SinkNameWebhook:
			to.Webhooks = &blueprintWebhooks{AuditURL: sink.Endpoint}
		case protocol.SinkNameExport:
			to.AuditExport = &blueprintAuditExport{Format: sink.Format, Endpoint: sink.Endpoint, Index: sink.Index, Source: sink.Source}
		}
	}
	return nil
}

// findProvisioned goes through the pages of what is provisioned.
func (s *session) findProvisioned(name string) (*protocol.ProvisionedNetwork, error) {
	for cursor := ""; ; {
		reply, err := s.client.GetProvisionStatus(s.ctx, true, client.WithLimit(100), client.WithCursor(cursor))
		if err != nil {
			return nil, err
		}
		for i := range reply.Networks {
			if n := &reply.Networks[i]; n.Name == name || strconv.Itoa(int(n.NetworkID)) == name {
				return n, nil
			}
		}
		if cursor = reply.NextCursor; cursor == "" {
			return nil, &failure.Error{Err: fmt.Errorf("no network %q", name), Code: protocol.CodeNotFound, Exit: failure.NotFound,
				Hint: "pilotctl network list shows them"}
		}
	}
}
