// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// maxReplicatedEvents is how many audit entries the document carries at most.
const maxReplicatedEvents = 1000

// ReplicationDoc is the state in the form of the original single-node
// registry's file (docs/protocol/audit.md#subscribe_replication), for standbys and exports of that form.
// Secrets are left out: join tokens, network admin tokens, export tokens.
// Encoded as JSON it ends with a checksum over everything before it.
type ReplicationDoc struct {
	Version            int                        `json:"version"`
	NextNode           uint32                     `json:"next_node"`
	NextNet            uint16                     `json:"next_net"`
	Nodes              map[string]DocNode         `json:"nodes"`
	Networks           map[string]DocNetwork      `json:"networks"`
	TrustPairs         []string                   `json:"trust_pairs,omitempty"`
	PubKeyIdx          map[string]uint32          `json:"pub_key_idx,omitempty"`
	HandshakeInbox     map[string][]DocHandshake  `json:"handshake_inbox,omitempty"`
	HandshakeResponses map[string][]DocHandshakeR `json:"handshake_responses,omitempty"`
	InviteInbox        map[string][]DocInvite     `json:"invite_inbox,omitempty"`
	RBACPreAssign      map[string][]DocPreAssign  `json:"rbac_pre_assign,omitempty"`
	TotalRequests      uint64                     `json:"total_requests,omitempty"`
	TotalNodes         int                        `json:"total_nodes,omitempty"`
	OnlineNodes        int                        `json:"online_nodes,omitempty"`
	TrustLinks         int                        `json:"trust_links,omitempty"`
	// UniqueTags and TaskExecutors count tags and nodes that execute tasks, of
	// live nodes. StartTime is when the cluster was made, Term the leader's.
	UniqueTags    int    `json:"unique_tags,omitempty"`
	TaskExecutors int    `json:"task_executors,omitempty"`
	StartTime     string `json:"start_time,omitempty"`
	Term          uint64 `json:"term,omitempty"`
	// IDPConfig and AuditExportConfig are without secrets: what stands behind
	// the question mark of an address is left out, and so are tokens.
	IDPConfig         *DocIDP    `json:"idp_config,omitempty"`
	AuditExportConfig *DocExport `json:"audit_export_config,omitempty"`
	AuditLog          []DocAudit `json:"audit_log,omitempty"`
}

// DocNode is a live node of a ReplicationDoc. Times are RFC 3339 in UTC. It has
// 27 fields, because the document is one flat object with that many keys.
type DocNode struct {
	ID          uint32   `json:"id"`
	Owner       string   `json:"owner,omitempty"`
	PublicKey   string   `json:"public_key"`
	RealAddr    string   `json:"real_addr,omitempty"`
	Networks    []uint16 `json:"networks"`
	Public      bool     `json:"public,omitempty"`
	LastSeen    string   `json:"last_seen,omitempty"`
	Hostname    string   `json:"hostname,omitempty"`
	Tags        []string `json:"tags,omitempty"`
	PoloScore   int64    `json:"polo_score,omitempty"`
	TaskExec    bool     `json:"task_exec,omitempty"`
	LANAddrs    []string `json:"lan_addrs,omitempty"`
	KeyCreated  string   `json:"key_created,omitempty"`
	KeyRotated  string   `json:"key_rotated,omitempty"`
	KeyExpires  string   `json:"key_expires,omitempty"`
	KeyRotCount uint32   `json:"key_rot_count,omitempty"`
	ExternalID  string   `json:"external_id,omitempty"`

	Version   string `json:"version,omitempty"`
	RelayOnly bool   `json:"relay_only,omitempty"`

	Badge                string `json:"badge,omitempty"`
	BadgeSig             string `json:"badge_sig,omitempty"`
	VerificationProvider string `json:"verification_provider,omitempty"`
	VerifiedAt           string `json:"verified_at,omitempty"`
	RecoveryCommitment   string `json:"recovery_commitment,omitempty"`
	RecoveryProvider     string `json:"recovery_provider,omitempty"`

	// RecoveryConsumedNonce is that of the recovery which was used last, and
	// RecoveryConsumedExp when it ends, in Unix seconds; absent from then on.
	RecoveryConsumedNonce string `json:"recovery_consumed_nonce,omitempty"`
	RecoveryConsumedExp   int64  `json:"recovery_consumed_exp,omitempty"`
}

// DocIDP is the identity provider of a ReplicationDoc.
type DocIDP struct {
	Type     string `json:"type"`
	URL      string `json:"url"`
	Issuer   string `json:"issuer,omitempty"`
	ClientID string `json:"client_id,omitempty"`
	TenantID string `json:"tenant_id,omitempty"`
	Domain   string `json:"domain,omitempty"`
}

// DocExport is the audit export of a ReplicationDoc, without its token.
type DocExport struct {
	Format   string `json:"format"`
	Endpoint string `json:"endpoint"`
	Index    string `json:"index,omitempty"`
	Source   string `json:"source,omitempty"`
}

// DocNetwork is a network of a ReplicationDoc.
type DocNetwork struct {
	// Rules are those of a managed network, ExprPolicy an expression policy.
	Rules      *protocol.NetworkRules `json:"rules,omitempty"`
	ExprPolicy json.RawMessage        `json:"expr_policy,omitempty"`

	ID          uint16            `json:"id"`
	Name        string            `json:"name"`
	JoinRule    string            `json:"join_rule"`
	Members     []uint32          `json:"members"`
	MemberRoles map[string]string `json:"member_roles,omitempty"`
	// MemberTags has the members with tags, by node id.
	MemberTags map[string][]string `json:"member_tags,omitempty"`
	Policy     *DocPolicy          `json:"policy,omitempty"`
	Enterprise bool                `json:"enterprise,omitempty"`
	Created    string              `json:"created"`
}

// DocPolicy is a network's policy of a ReplicationDoc, absent when nothing is set.
type DocPolicy struct {
	MaxMembers   uint32   `json:"max_members"`
	AllowedPorts []uint16 `json:"allowed_ports"`
	Description  string   `json:"description"`
}

// DocInvite is a waiting invite of a ReplicationDoc.
type DocInvite struct {
	NetworkID uint16 `json:"network_id"`
	InviterID uint32 `json:"inviter_id"`
	Timestamp string `json:"timestamp"`
}

// DocPreAssign is a role that waits for an external id, of a ReplicationDoc.
type DocPreAssign struct {
	ExternalID string `json:"external_id"`
	Role       string `json:"role"`
}

// DocHandshake is a waiting handshake request of a ReplicationDoc.
type DocHandshake struct {
	FromNodeID    uint32 `json:"from_node_id"`
	Justification string `json:"justification"`
	Timestamp     string `json:"timestamp"`
}

// DocHandshakeR is a waiting handshake response of a ReplicationDoc.
type DocHandshakeR struct {
	FromNodeID uint32 `json:"from_node_id"`
	Accept     bool   `json:"accept"`
	Timestamp  string `json:"timestamp"`
}

// DocAudit is an audit entry of a ReplicationDoc.
type DocAudit struct {
	Timestamp string `json:"timestamp"`
	Action    string `json:"action"`
	NetworkID uint16 `json:"network_id,omitempty"`
	NodeID    uint32 `json:"node_id,omitempty"`
	Details   string `json:"details,omitempty"`
}

// MarshalJSON encodes the document and appends its checksum: SHA-256 over the
// compact document without the checksum.
func (d *ReplicationDoc) MarshalJSON() ([]byte, error) {
	type plainDoc ReplicationDoc
	b, err := json.Marshal((*plainDoc)(d))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	b = append(b[:len(b)-1], `,"checksum":"`...)
	b = append(b, hex.EncodeToString(sum[:])...)
	return append(b, `"}`...), nil
}

// ReplicationDocument renders the state in the form of the original
// registry's file, without secrets. Its cost grows with the state.
func (r *Root) ReplicationDocument() any {
	doc := &ReplicationDoc{
		Version: 1, NextNode: r.meta.nextNode, NextNet: r.meta.nextNet,
		TotalNodes: r.nodes.liveIDs.Len(), OnlineNodes: r.nodes.liveIDs.Len(),
		Nodes: map[string]DocNode{}, Networks: map[string]DocNetwork{}, PubKeyIdx: map[string]uint32{},
		InviteInbox: map[string][]DocInvite{}, RBACPreAssign: map[string][]DocPreAssign{},
		HandshakeInbox: map[string][]DocHandshake{}, HandshakeResponses: map[string][]DocHandshakeR{},
	}
	r.nodes.records.Scan(func(id uint32, n *node) bool {
		if !n.has(flagKeyless) {
			doc.PubKeyIdx[n.key.String()] = id
		}
		if n.live() {
			doc.Nodes[decimal(id)] = r.docNode(n)
		}
		return true
	})
	r.networks.records.Scan(func(id uint16, n *network) bool {
		doc.Networks[decimal(uint32(id))] = r.docNetwork(id, n)
		return true
	})
	r.trust.pairs.Scan(func(k uint64, s sides) bool {
		if r.counts(s) {
			doc.TrustPairs = append(doc.TrustPairs, decimal(uint32(k>>32))+":"+decimal(uint32(k)))
		}
		return true
	})
	doc.TrustLinks = len(doc.TrustPairs)
	r.trust.requests.Scan(func(k string, q *request) bool {
		to, _ := splitQueueKey(k)
		doc.HandshakeInbox[decimal(to)] = append(doc.HandshakeInbox[decimal(to)],
			DocHandshake{FromNodeID: q.from, Justification: q.justification, Timestamp: utcNano(q.at)})
		return true
	})
	r.trust.responses.Scan(func(k string, q *response) bool {
		to, _ := splitQueueKey(k)
		doc.HandshakeResponses[decimal(to)] = append(doc.HandshakeResponses[decimal(to)],
			DocHandshakeR{FromNodeID: q.from, Accept: q.accept, Timestamp: utcNano(q.at)})
		return true
	})
	r.networks.invites.Scan(func(k string, i *invite) bool {
		to, _ := splitQueueKey(k)
		doc.InviteInbox[decimal(to)] = append(doc.InviteInbox[decimal(to)], DocInvite{NetworkID: i.net, InviterID: i.inviter, Timestamp: utcNano(i.at)})
		return true
	})
	r.networks.preAssign.Scan(func(k string, p *preAssign) bool {
		net := decimal(uint32(table.NewDecoder([]byte(k)).Key16()))
		doc.RBACPreAssign[net] = append(doc.RBACPreAssign[net], DocPreAssign{ExternalID: p.external, Role: p.role.String()})
		return true
	})
	r.docTotals(doc)
	r.docConfiguration(doc)
	doc.AuditLog = r.docAudit()
	return doc
}

func (r *Root) docTotals(doc *ReplicationDoc) {
	doc.TotalRequests, doc.StartTime, doc.Term = r.meta.requests, utcOrNone(r.meta.began), r.meta.leaderTerm
	t := r.Totals()
	doc.TaskExecutors, doc.UniqueTags = t.Executors, t.Tags
}

func (r *Root) docConfiguration(doc *ReplicationDoc) {
	if idp := r.cluster.config().idp; idp.Type != "" {
		doc.IDPConfig = &DocIDP{Type: idp.Type, URL: shownURL(idp.URL), Issuer: idp.Issuer, ClientID: idp.ClientID, TenantID: idp.TenantID, Domain: idp.Domain}
	}
	if s, ok := r.audit.sinks.Get(protocol.SinkNameExport); ok {
		doc.AuditExportConfig = &DocExport{Format: s.Format, Endpoint: shownURL(s.Endpoint), Index: s.Index, Source: s.Source}
	}
}

func (r *Root) docNode(n *node) DocNode {
	d := DocNode{
		ID: n.id, Owner: n.owner, RealAddr: n.endpoint, Networks: append([]uint16{0}, r.networks.of(n.id)...),
		Public: n.has(flagPublic), LastSeen: r.nodes.lastSeen(n.id), Hostname: n.hostname, Tags: n.tags,
		PoloScore: int64(n.polo), TaskExec: n.has(flagTaskExec), LANAddrs: n.lan, KeyCreated: utcOrNone(n.created),
		KeyRotated: utcOrNone(n.rotated), KeyExpires: utcOrNone(n.expires), KeyRotCount: n.rotates, ExternalID: n.externalID,
	}
	b := n.badge()
	d.Badge, d.BadgeSig, d.VerificationProvider, d.VerifiedAt = b.Badge, b.BadgeSig, b.Provider, b.At
	d.RecoveryCommitment, d.RecoveryProvider = n.rare().commitment, n.rare().recoveryProvider
	if used := n.rare().nonces; len(used) > 0 {
		last := used[len(used)-1]
		d.RecoveryConsumedNonce, d.RecoveryConsumedExp = last.text, last.ends
	}
	if !n.has(flagKeyless) {
		d.PublicKey = n.key.String()
	}
	d.Version, d.RelayOnly = n.version, n.has(flagRelayOnly)
	return d
}

func (r *Root) docNetwork(id uint16, n *network) DocNetwork {
	d := DocNetwork{ID: id, Name: n.name, JoinRule: n.rule.String(), Members: []uint32{}, Enterprise: n.enterprise, Created: utc(n.created)}
	d.Rules, d.ExprPolicy = r.NetworkDocuments(id)
	if p := n.policy; p.maxMembers > 0 || len(p.ports) > 0 || p.description != "" {
		d.Policy = &DocPolicy{MaxMembers: p.maxMembers, AllowedPorts: p.ports, Description: p.description}
	}
	if id == 0 {
		r.nodes.liveIDs.Ascend(0, func(node uint32, _ nothing) bool {
			d.Members = append(d.Members, node)
			return true
		})
		return d
	}
	d.MemberRoles = map[string]string{}
	r.networks.byOrder.Ascend(orderKey(id, 0), func(k uint64, node uint32) bool {
		if uint16(k>>48) != id {
			return false
		}
		d.Members = append(d.Members, node)
		if m, _ := r.networks.member(id, node); m.role != roleNone {
			d.MemberRoles[decimal(node)] = m.role.String()
		}
		if tags, ok := r.networks.tags.Get(membershipKey(id, node)); ok {
			if d.MemberTags == nil {
				d.MemberTags = map[string][]string{}
			}
			d.MemberTags[decimal(node)] = tags.list
		}
		return true
	})
	return d
}

// docAudit merges the newest events of both classes, oldest first.
func (r *Root) docAudit() []DocAudit {
	var newest []Event
	next := [2]func() (Event, bool){r.newestFirst(protocol.ClassSecurity), r.newestFirst(protocol.ClassActivity)}
	a, okA := next[0]()
	b, okB := next[1]()
	for len(newest) < maxReplicatedEvents && (okA || okB) {
		if okA && (!okB || a.Seq > b.Seq) {
			newest = append(newest, a)
			a, okA = next[0]()
		} else {
			newest = append(newest, b)
			b, okB = next[1]()
		}
	}
	out := make([]DocAudit, 0, len(newest))
	for i := len(newest) - 1; i >= 0; i-- {
		out = append(out, docEvent(&newest[i]))
	}
	return out
}

// newestFirst returns a function that yields the events of a class from the
// newest down.
func (r *Root) newestFirst(class protocol.EventClass) func() (Event, bool) {
	t := &r.audit.events[classIndex(class)]
	at := t.Len()
	return func() (Event, bool) {
		at--
		seq, rec, ok := t.At(at)
		if at < 0 || !ok {
			return Event{}, false
		}
		return decodeEvent(seq, class, rec)
	}
}

// docEvent renders an event as the audit trail does: the attributes node_id
// and network_id stand alone, all others are details.
func docEvent(e *Event) DocAudit {
	d := DocAudit{Timestamp: utc(e.Time), Action: e.Action}
	var details []string
	for _, a := range e.Attrs {
		switch a.Key {
		case "node_id":
			id, _ := strconv.ParseUint(a.Value, 10, 32)
			d.NodeID = uint32(id)
		case "network_id":
			id, _ := strconv.ParseUint(a.Value, 10, 16)
			d.NetworkID = uint16(id)
		default:
			details = append(details, a.Key+"="+a.Value)
		}
	}
	d.Details = strings.Join(details, ", ")
	return d
}
