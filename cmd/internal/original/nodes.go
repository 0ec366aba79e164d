// SPDX-License-Identifier: Apache-2.0

package original

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// lastID is the highest node id: the one after it is the address of everybody.
const lastID = 1<<32 - 2

func decimal(id uint32) string { return strconv.FormatUint(uint64(id), 10) }

// keyed are the objects below a key of the file, by their decimal ids.
func (r *reader) keyed(name string, raw []byte, bits int) (list []keyedEntry, inFile int, err error) {
	found, err := entries(raw)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	for _, e := range found {
		n, ok := id(e.key, bits)
		if !ok && !(bits == 16 && e.key == "0") || n > lastID {
			r.leftOut(name+" "+label(e.key), "", "its key is not an id")
			continue
		}
		list = append(list, keyedEntry{n, e})
	}
	slices.SortFunc(list, func(a, b keyedEntry) int { return cmp.Compare(a.id, b.id) })
	return list, len(found), nil
}

type keyedEntry struct {
	id uint32
	entry
}

func (r *reader) readNodes() error {
	list, inFile, err := r.keyed("nodes", r.top.Nodes, 32)
	if err != nil {
		return err
	}
	r.Doc.Nodes, r.Doc.PubKeyIdx = map[string]fsm.DocNode{}, map[string]uint32{}
	hosts := map[string]uint32{}
	for _, e := range list {
		object := "node " + e.key
		r.highest = max(r.highest, e.id)
		var d fsm.DocNode
		if err := decode(&r.notes, object, e.raw, &d); err != nil {
			r.leftOut(object, "", err.Error())
			continue
		}
		if d.ID != e.id {
			r.leftOut(object, "", fmt.Sprintf("it stands under this id and says that it is %d", d.ID))
			continue
		}
		if !r.nodeKey(object, &d) {
			continue
		}
		r.nodeNets[d.ID] = d.Networks
		d.Networks = nil // the networks' own lists decide
		r.nodeTexts(object, &d)
		r.nodeTimes(object, &d)
		r.nodeBadge(object, &d)
		if holder, taken := hosts[d.Hostname]; taken && d.Hostname != "" {
			r.leftOut(object, "hostname", fmt.Sprintf("node %d has the same one, and the lowest id keeps it", holder))
			d.Hostname = ""
		}
		hosts[d.Hostname] = d.ID
		r.Doc.Nodes[e.key] = d
	}
	r.count("nodes", inFile, len(r.Doc.Nodes))
	return nil
}

// nodeKey reads a node's key, which no other node may have. A node without one
// is taken, as the original does.
func (r *reader) nodeKey(object string, d *fsm.DocNode) bool {
	if d.PublicKey == "" {
		r.changed(object, "public_key", "it has none: an administrator acts for the node until it registers with one")
		return true
	}
	key, err := protocol.ParsePublicKey(d.PublicKey)
	if err != nil {
		r.leftOut(object, "", "public_key: "+err.Error())
		return false
	}
	if holder, taken := r.Doc.PubKeyIdx[key.String()]; taken {
		r.leftOut(object, "", fmt.Sprintf("node %d has the same public key, and the lowest id keeps it", holder))
		return false
	}
	d.PublicKey = key.String()
	r.Doc.PubKeyIdx[d.PublicKey] = d.ID
	return true
}

func (r *reader) nodeTexts(object string, d *fsm.DocNode) {
	for _, f := range []struct {
		name string
		text *string
	}{{"owner", &d.Owner}, {"real_addr", &d.RealAddr}, {"external_id", &d.ExternalID}, {"version", &d.Version}} {
		r.text(object, f.name, f.text, protocol.MaxTextBytes)
	}
	if problem := protocol.CheckHostname(d.Hostname); d.Hostname != "" && problem != "" {
		r.leftOut(object, "hostname", problem)
		d.Hostname = ""
	}
	if e := protocol.CheckTags(d.Tags); e != nil {
		r.leftOut(object, "tags", e.Text)
		d.Tags = nil
	} else if len(protocol.NormalizeTags(d.Tags)) != len(d.Tags) {
		r.changed(object, "tags", "a tag stood there twice")
		d.Tags = protocol.NormalizeTags(d.Tags)
	}
	lan := d.LANAddrs[:0:0]
	for _, a := range d.LANAddrs {
		if a != "" && len(a) <= 256 && !protocol.HasControl(a) && len(lan) < protocol.MaxLANAddresses {
			lan = append(lan, a)
		}
	}
	if len(lan) != len(d.LANAddrs) {
		r.leftOut(object, "lan_addrs", fmt.Sprintf("there are more than %d, or some are empty, longer than 256 bytes or have control characters: these are left out", protocol.MaxLANAddresses))
	}
	d.LANAddrs = lan
	if bound := int64(protocol.MaxPoloScore); d.PoloScore > bound || d.PoloScore < -bound {
		r.changed(object, "polo_score", fmt.Sprintf("it is beyond %d, which it is now", bound))
		d.PoloScore = min(max(d.PoloScore, -bound), bound)
	}
}

func (r *reader) nodeTimes(object string, d *fsm.DocNode) {
	for _, f := range []struct {
		name string
		text *string
	}{{"key_created", &d.KeyCreated}, {"key_rotated", &d.KeyRotated}, {"key_expires", &d.KeyExpires}, {"last_seen", &d.LastSeen}} {
		*f.text = r.time(object, f.name, *f.text)
	}
	now := r.now.Format(time.RFC3339)
	switch seen, ok := protocol.ParseTime(d.LastSeen); {
	case !ok:
		r.added(object, "last_seen", "it has none; the original takes the time at which it reads the file, and that of the import stands there now")
		d.LastSeen = now
	case seen.After(r.now):
		r.changed(object, "last_seen", "it lies in the future; the time of the import stands there now")
		d.LastSeen = now
	}
}

// nodeBadge reads what the newest servers keep of accounts.
func (r *reader) nodeBadge(object string, d *fsm.DocNode) {
	d.VerifiedAt = r.time(object, "verified_at", d.VerifiedAt)
	for _, f := range []struct {
		name string
		text *string
	}{{"badge", &d.Badge}, {"badge_sig", &d.BadgeSig}, {"verification_provider", &d.VerificationProvider},
		{"recovery_commitment", &d.RecoveryCommitment}, {"recovery_provider", &d.RecoveryProvider}, {"recovery_consumed_nonce", &d.RecoveryConsumedNonce}} {
		r.text(object, f.name, f.text, protocol.MaxStatementBytes)
	}
	if d.Badge == "" && (d.BadgeSig != "" || d.VerificationProvider != "" || d.VerifiedAt != "") {
		r.leftOut(object, "badge_sig", "it has no badge")
		d.BadgeSig, d.VerificationProvider, d.VerifiedAt = "", "", ""
	}
	if d.RecoveryCommitment == "" && d.RecoveryProvider != "" {
		r.leftOut(object, "recovery_provider", "it has no recovery_commitment")
		d.RecoveryProvider = ""
	}
}

// readKeys reads the keys of nodes that are not live: they get their ids back.
func (r *reader) readKeys() error {
	list, err := entries(r.top.PubKeyIdx)
	if err != nil {
		return fmt.Errorf("pub_key_idx: %w", err)
	}
	type binding struct {
		key  string
		text string
		id   uint32
	}
	var found []binding
	for _, e := range list {
		object := "key " + label(e.key)
		key, err := protocol.ParsePublicKey(e.key)
		n, ok := id(string(e.raw), 32)
		switch {
		case err != nil:
			r.leftOut(object, "", err.Error())
		case !ok || n > lastID:
			r.leftOut(object, "", "its node is not an id")
		default:
			found = append(found, binding{key.String(), e.key, n})
		}
	}
	slices.SortFunc(found, func(a, b binding) int { return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.text, b.text)) })
	gone, taken := map[uint32]bool{}, 0
	for _, b := range found {
		object := "key " + label(b.text)
		holder, bound := r.Doc.PubKeyIdx[b.key]
		_, live := r.Doc.Nodes[decimal(b.id)]
		switch {
		case bound && holder == b.id:
			taken++
		case bound:
			r.leftOut(object, "", fmt.Sprintf("it is the key of node %d", holder))
		case live:
			r.leftOut(object, "", fmt.Sprintf("node %d is live with another key", b.id))
		case gone[b.id]:
			r.leftOut(object, "", fmt.Sprintf("node %d, which is not live, has another key already", b.id))
		default:
			gone[b.id] = true
			r.Doc.PubKeyIdx[b.key] = b.id
			taken++
		}
	}
	r.count("keys", len(list), taken)
	return nil
}
