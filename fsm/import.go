// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Import makes the first state of a cluster from the file of another registry.
// It is carried out offline and is in no log: members get the result as a
// snapshot, as they do of a [Refounding].
type Import struct {
	Init   ClusterInit
	Sealed []PutSealed
	Tokens []PutToken
	// Time is the wall clock, Unix milliseconds. Seed is what salts come from.
	Time int64
	Seed Seed
	// Source is the SHA-256 of the file, in hexadecimal.
	Source string
	// Doc is what the file holds. It has been checked: what contradicts
	// itself, or has a form that no client could have brought, is an error.
	Doc *ReplicationDoc
	// What follows are the facts that only a member's key ring and the tables
	// of Unicode tell: MACs of the networks' tokens, the sealed token of the
	// audit export, the forms of external ids.
	JoinTokens, AdminTokens map[uint16]protocol.MAC
	ExportToken             protocol.Sealed
	Keys                    func(externalID string) protocol.IDKeys
	// HoldSinks keeps events from the audit export until it is configured again.
	HoldSinks bool
}

// arrival is an import while it is carried out.
type arrival struct {
	*txn
	b   *Import
	err error
}

// Import carries out an import on an empty machine. After an error the machine
// is of no more use.
func (m *Machine) Import(b *Import) error {
	if m.halted != nil || m.Root().ClusterID() != "" {
		return fmt.Errorf("the state is that of a cluster already")
	}
	if b.Init.Level < LevelMin || b.Init.Level > LevelMax {
		return fmt.Errorf("this version does not know feature level %d", b.Init.Level)
	}
	i := arrival{txn: m.x, b: b}
	i.start(1, 1, b.Time, b.Seed)
	i.by.system, i.meta.level = true, b.Init.Level
	steps := []func(){i.addEvents, i.found, i.addNodes, i.addGone, i.addNetworks, i.addTrust, i.addInvites, i.configure, i.conclude}
	for _, step := range steps {
		if step(); i.err != nil {
			return i.err
		}
	}
	m.publish(i.index, i.term)
	return nil
}

// fail keeps the first error.
func (i *arrival) fail(format string, args ...any) {
	if i.err == nil {
		i.err = fmt.Errorf(format, args...)
	}
}

// must keeps the error of a record that contradicts another.
func (i *arrival) must(fits bool, what string, args ...any) {
	if !fits {
		i.fail("%s: it contradicts another record, or does not decode", fmt.Sprintf(what, args...))
	}
}

// ms reads a time of the document, "" for none.
func (i *arrival) ms(text string) int64 {
	if text == "" {
		return 0
	}
	at, ok := protocol.ParseTime(text)
	if !ok || at.UnixMilli() < 0 || at.UnixMilli() > maxTime {
		i.fail("%s is not a time", protocol.Quote(text))
		return 0
	}
	return at.UnixMilli()
}

// ids lists the decimal keys of a map in ascending order.
func ids[V any](i *arrival, m map[string]V) []uint32 {
	out := make([]uint32, 0, len(m))
	for _, k := range sortedKeys(m) {
		id, err := strconv.ParseUint(k, 10, 32)
		if err != nil {
			i.fail("%s is not an id", protocol.Quote(k))
		}
		out = append(out, uint32(id))
	}
	slices.Sort(out)
	return out
}

// addEvents comes first, so that no sink has them before it.
func (i *arrival) addEvents() {
	i.by.system, i.call.via = false, "imported"
	for _, e := range i.b.Doc.AuditLog {
		i.meta.now = i.ms(e.Timestamp)
		w := i.begin(e.Action)
		if e.NodeID != 0 {
			w.node(e.NodeID)
		}
		if e.NetworkID != 0 {
			w.network(e.NetworkID)
		}
		for _, a := range DetailsAttrs(e.Details) {
			if personAttr(a.Key) {
				w.person(a.Key, a.Value)
			} else {
				w.str(a.Key, a.Value)
			}
		}
		w.end()
	}
	i.by.system, i.call.via, i.meta.now = true, "", min(i.b.Time, maxTime)
}

// personAttr reports whether an attribute says something of a person.
func personAttr(key string) bool {
	return slices.Contains([]string{"old_hostname", "new_hostname", "old_external_id", "new_external_id"}, key)
}

// DetailsAttrs takes the details of an event apart into what gives the same
// text again: key=value, with a comma and a space in between.
func DetailsAttrs(details string) (attrs []Attr) {
	if details == "" {
		return nil
	}
	for _, part := range strings.Split(details, ", ") {
		key, value, pair := strings.Cut(part, "=")
		if !pair && len(attrs) > 0 { // a value that has the separator in it
			attrs[len(attrs)-1].Value += ", " + part
			continue
		}
		attrs = append(attrs, Attr{Key: key, Value: value})
	}
	return attrs
}

// found makes the cluster that the rest belongs to.
func (i *arrival) found() {
	if err := i.carryOut(decideClusterInit(&i.view, &i.b.Init)); err != nil {
		i.fail("%v", err)
		return
	}
	for n := range i.b.Sealed {
		i.try(decidePutSealed(&i.view, &i.b.Sealed[n]))
	}
	for n := range i.b.Tokens {
		i.try(decidePutToken(&i.view, &i.b.Tokens[n]))
	}
	doc := i.b.Doc
	i.meta.nextNode, i.meta.nextNet, i.meta.requests = doc.NextNode, doc.NextNet, doc.TotalRequests
	if began := i.ms(doc.StartTime); began != 0 {
		i.meta.began = began
	}
}

func (i *arrival) try(effect effect, e *protocol.Error) {
	if err := i.carryOut(effect, e); err != nil {
		i.fail("%v", err)
	}
}

// conclude notes what has been done, as the first event of the cluster's own.
func (i *arrival) conclude() {
	doc := i.b.Doc
	i.begin(protocol.EventClusterImported).str("sha256", i.b.Source).num("nodes", uint64(len(doc.Nodes))).num("networks", uint64(len(doc.Networks))).
		num("events", uint64(len(doc.AuditLog))).end()
	if i.b.HoldSinks {
		i.holdSinks()
	}
	i.finish(1)
	if err := i.consistent(); err != nil {
		i.fail("%v", err)
	}
}

func (i *arrival) addNodes() {
	doc := i.b.Doc
	for _, id := range ids(i, doc.Nodes) {
		d := doc.Nodes[decimal(id)]
		n := i.node(&d)
		i.must(n.id == id && nodeTable.add(i.txn, id, n), "node %d", id)
		i.must(seenTable.add(i.txn, id, seconds(i.ms(d.LastSeen))), "last_seen of node %d", id)
	}
}

// addGone keeps the ids of keys whose nodes are not live: they get them back.
func (i *arrival) addGone() {
	doc, gone := i.b.Doc, map[uint32]bool{}
	for _, text := range sortedKeys(doc.PubKeyIdx) {
		key, err := protocol.ParsePublicKey(text)
		id := doc.PubKeyIdx[text]
		if holder, bound := i.nodes.byKey.Get(string(key[:])); err != nil || bound && holder != id {
			i.fail("pub_key_idx: key %s is not one, or another node's", protocol.Quote(text))
		} else if !bound && gone[id] {
			i.fail("pub_key_idx: node %d has two keys", id)
		} else if !bound {
			gone[id] = true
			i.must(nodeTable.add(i.txn, id, &node{id: id, key: key, keyGen: 1, state: stateDeregistered}), "node %d of pub_key_idx", id)
		}
	}
}

// node makes the record of a live node.
func (i *arrival) node(d *DocNode) *node {
	n := &node{id: d.ID, keyGen: 1, rotates: d.KeyRotCount, polo: int32(d.PoloScore), state: stateLive,
		created: i.ms(d.KeyCreated), rotated: i.ms(d.KeyRotated), expires: i.ms(d.KeyExpires),
		owner: d.Owner, endpoint: d.RealAddr, hostname: d.Hostname, version: d.Version, lan: d.LANAddrs, tags: d.Tags}
	n.set(flagPublic, d.Public)
	n.set(flagTaskExec, d.TaskExec)
	n.set(flagRelayOnly, d.RelayOnly)
	n.set(flagKeyless, d.PublicKey == "")
	if d.PublicKey != "" {
		key, err := protocol.ParsePublicKey(d.PublicKey)
		if err != nil {
			i.fail("node %d: %v", d.ID, err)
		}
		n.key = key
	}
	if d.ExternalID != "" {
		n.bind(d.ExternalID, i.b.Keys(d.ExternalID))
	}
	s := standing{badge: d.Badge, badgeSig: d.BadgeSig, badgeProvider: d.VerificationProvider, verified: i.ms(d.VerifiedAt),
		commitment: d.RecoveryCommitment, recoveryProvider: d.RecoveryProvider}
	if d.RecoveryConsumedNonce != "" {
		s.nonces = []usedNonce{{d.RecoveryConsumedNonce, d.RecoveryConsumedExp}}
	}
	if s.badge != "" || s.commitment != "" || len(s.nonces) > 0 {
		n.standing = &s
	}
	return n
}

func (i *arrival) addNetworks() {
	doc := i.b.Doc
	for _, id32 := range ids(i, doc.Networks) {
		id, d := uint16(id32), doc.Networks[decimal(id32)]
		n := &network{name: d.Name, rule: parseJoinRule(d.JoinRule), enterprise: d.Enterprise, created: i.ms(d.Created),
			token: i.b.JoinTokens[id], admin: i.b.AdminTokens[id], revision: 1}
		if p := d.Policy; p != nil {
			n.policy = policy{maxMembers: p.MaxMembers, ports: p.AllowedPorts, description: p.Description}
		}
		if id == 0 { // the cluster has it already
			i.setNetwork(0, n)
			continue
		}
		i.must(networkTable.add(i.txn, id, n), "network %d", id)
		i.setDocs(id, networkDocs{rules: d.Rules, expr: string(d.ExprPolicy)})
		i.members(id, &d)
		for _, p := range doc.RBACPreAssign[decimal(id32)] {
			r := &preAssign{external: p.ExternalID, key: i.b.Keys(p.ExternalID).MatchOf(p.ExternalID), role: parseRole(p.Role)}
			i.meta.queueSeq++
			i.must(preAssignTable.add(i.txn, preAssignKey(id, i.meta.queueSeq), r), "the role of %s in network %d", protocol.Quote(p.ExternalID), id)
		}
	}
}

func (i *arrival) members(net uint16, d *DocNetwork) {
	for _, id := range d.Members {
		if !i.nodes.records.Holds(id) { // it was a node once, or its id could be given to another
			i.must(nodeTable.add(i.txn, id, &node{id: id, keyGen: 1, state: stateDeregistered, flags: flagKeyless}), "node %d", id)
		}
		i.meta.joinSeq++
		m := membership{order: i.meta.joinSeq, role: roleOrNone(d.MemberRoles[decimal(id)])}
		i.must(membershipTable.add(i.txn, membershipKey(net, id), m), "member %d of network %d", id, net)
		if m.role == roleOwner {
			noteOwner(i.txn, net, true)
		}
		setMemberTags(i.txn, membershipKey(net, id), d.MemberTags[decimal(id)])
	}
}

// addTrust adds trust pairs and handshakes. Trust is undirected there: both sides count as having spoken.
func (i *arrival) addTrust() {
	doc := i.b.Doc
	for _, pair := range doc.TrustPairs {
		a, b, ok := parsePair(pair)
		if !ok {
			i.fail("trust pair %s is not one", protocol.Quote(pair))
			return
		}
		i.setSides(a, b, reportedBoth)
	}
	for _, to := range ids(i, doc.HandshakeInbox) {
		for _, q := range doc.HandshakeInbox[decimal(to)] {
			if _, asked := own(q.FromNodeID, to); q.FromNodeID != to {
				i.setSides(q.FromNodeID, to, i.trust.sides(q.FromNodeID, to)|asked)
			}
			i.meta.queueSeq++
			putRequest(i.txn, queueKey(to, i.meta.queueSeq), &request{from: q.FromNodeID, at: i.ms(q.Timestamp), justification: q.Justification})
		}
	}
	for _, to := range ids(i, doc.HandshakeResponses) {
		for _, q := range doc.HandshakeResponses[decimal(to)] {
			i.meta.queueSeq++
			putResponse(i.txn, queueKey(to, i.meta.queueSeq), &response{from: q.FromNodeID, at: i.ms(q.Timestamp), accept: q.Accept})
		}
	}
}

func roleOrNone(name string) role {
	if name == "" {
		return roleNone
	}
	return parseRole(name)
}

func parsePair(text string) (a, b uint32, ok bool) {
	low, high, cut := strings.Cut(text, ":")
	x, errX := strconv.ParseUint(low, 10, 32)
	y, errY := strconv.ParseUint(high, 10, 32)
	return uint32(x), uint32(y), cut && errX == nil && errY == nil && x < y
}

func (i *arrival) addInvites() {
	inbox := i.b.Doc.InviteInbox
	for _, to := range ids(i, inbox) {
		for _, v := range inbox[decimal(to)] {
			i.must(i.networks.records.Holds(v.NetworkID), "an invite of node %d", to)
			i.meta.queueSeq++
			i.putInvite(queueKey(to, i.meta.queueSeq), &invite{net: v.NetworkID, inviter: v.InviterID, at: i.ms(v.Timestamp)})
		}
	}
}

func (i *arrival) configure() {
	if p := i.b.Doc.IDPConfig; p != nil {
		idp := protocol.IDP{Type: p.Type, URL: p.URL, Issuer: p.Issuer, ClientID: p.ClientID, TenantID: p.TenantID, Domain: p.Domain}
		i.reconfigured(func(s *settings) { s.idp = idp })
	}
	if e := i.b.Doc.AuditExportConfig; e != nil {
		sink := protocol.SinkConfig{Name: protocol.SinkNameExport, Kind: protocol.SinkExport, Format: e.Format, Endpoint: e.Endpoint, Index: e.Index, Source: e.Source}
		configureSink(i.txn, sink, i.b.ExportToken, false)
	}
}

// EventsKept is how long events of a class are kept.
func EventsKept(class protocol.EventClass) time.Duration {
	return time.Duration(retentions[classIndex(class)].age) * time.Millisecond
}
