// SPDX-License-Identifier: Apache-2.0

package original

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (r *reader) readTrust() error {
	list, err := items(r.top.TrustPairs)
	if err != nil {
		return fmt.Errorf("trust_pairs: %w", err)
	}
	seen := map[string]bool{}
	for _, raw := range list {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			r.leftOut("trust pair "+label(string(raw)), "", "it is not a text")
			continue
		}
		object := "trust pair " + label(text)
		low, high, _ := strings.Cut(text, ":")
		a, okA := id(low, 32)
		b, okB := id(high, 32)
		pair := decimal(min(a, b)) + ":" + decimal(max(a, b))
		switch {
		case !okA || !okB || max(a, b) > lastID:
			r.leftOut(object, "", "it is not two ids with a colon in between")
		case a == b:
			r.leftOut(object, "", "it is of a node with itself, which says nothing")
		case seen[pair]:
			r.leftOut(object, "", "it stands there twice")
		default:
			seen[pair] = true
			r.Doc.TrustPairs = append(r.Doc.TrustPairs, pair)
		}
	}
	r.count("trust pairs", len(list), len(r.Doc.TrustPairs))
	return nil
}

// queues visits the entries of what waits for nodes. take reports whether an
// entry, of which at most most are kept, is taken.
func (r *reader) queues(name, one string, raw []byte, most int, take func(to uint32, object string, raw []byte) bool) error {
	list, _, err := r.keyed(name, raw, 32)
	if err != nil {
		return err
	}
	inFile, taken := 0, 0
	for _, e := range list {
		waiting, err := items(e.raw)
		if err != nil {
			r.leftOut(name+" of node "+e.key, "", err.Error())
			continue
		}
		inFile += len(waiting)
		kept := 0
		for i, raw := range waiting {
			object := fmt.Sprintf("%s %d of node %s", one, i+1, e.key)
			if kept == most {
				r.leftOut(object, "", fmt.Sprintf("%d are waiting already, which is the most", most))
			} else if take(e.id, object, raw) {
				kept++
			}
		}
		taken += kept
	}
	r.count(name, inFile, taken)
	return nil
}

// when reads the time of something that waits.
func (r *reader) when(object, text string) string {
	if at := r.time(object, "timestamp", text); at != "" {
		return at
	}
	r.added(object, "timestamp", "it has none; that of the import stands there now")
	return r.now.Format(time.RFC3339)
}

// sender refuses ids that no node has.
func (r *reader) sender(object string, id uint32) bool {
	if id == 0 || id > lastID {
		r.leftOut(object, "", "its sender is not an id of a node")
		return false
	}
	return true
}

func (r *reader) readRequests() error {
	inbox := map[string][]fsm.DocHandshake{}
	r.Doc.HandshakeInbox = inbox
	return r.queues("handshake_inbox", "request", r.top.Requests, protocol.MaxHandshakeInbox, func(to uint32, object string, raw []byte) bool {
		var q fsm.DocHandshake
		if err := decode(&r.notes, object, raw, &q); err != nil {
			r.leftOut(object, "", err.Error())
			return false
		}
		if !r.sender(object, q.FromNodeID) {
			return false
		}
		k := decimal(to)
		if slices.ContainsFunc(inbox[k], func(other fsm.DocHandshake) bool { return other.FromNodeID == q.FromNodeID }) {
			r.leftOut(object, "", fmt.Sprintf("another of node %d is waiting already", q.FromNodeID))
			return false
		}
		if len(q.Justification) > protocol.MaxTextBytes {
			r.changed(object, "justification", fmt.Sprintf("it is cut after %d bytes", protocol.MaxTextBytes))
			q.Justification = strings.ToValidUTF8(q.Justification[:protocol.MaxTextBytes], "")
		}
		q.Timestamp = r.when(object, q.Timestamp)
		inbox[k] = append(inbox[k], q)
		return true
	})
}

func (r *reader) readResponses() error {
	queue := map[string][]fsm.DocHandshakeR{}
	r.Doc.HandshakeResponses = queue
	return r.queues("handshake_responses", "response", r.top.Responses, protocol.MaxHandshakeResponses, func(to uint32, object string, raw []byte) bool {
		var q fsm.DocHandshakeR
		if err := decode(&r.notes, object, raw, &q); err != nil {
			r.leftOut(object, "", err.Error())
			return false
		}
		if !r.sender(object, q.FromNodeID) {
			return false
		}
		q.Timestamp = r.when(object, q.Timestamp)
		queue[decimal(to)] = append(queue[decimal(to)], q)
		return true
	})
}

func (r *reader) readInvites() error {
	inbox := map[string][]fsm.DocInvite{}
	r.Doc.InviteInbox = inbox
	return r.queues("invite_inbox", "invite", r.top.Invites, protocol.MaxInvites, func(to uint32, object string, raw []byte) bool {
		var v fsm.DocInvite
		if err := decode(&r.notes, object, raw, &v); err != nil {
			r.leftOut(object, "", err.Error())
			return false
		}
		k := decimal(to)
		switch {
		case v.NetworkID == 0 || !r.networkIDs[v.NetworkID]:
			r.leftOut(object, "", fmt.Sprintf("network %d is not there", v.NetworkID))
			return false
		case slices.ContainsFunc(inbox[k], func(other fsm.DocInvite) bool { return other.NetworkID == v.NetworkID }):
			r.leftOut(object, "", fmt.Sprintf("another to network %d is waiting already", v.NetworkID))
			return false
		case v.InviterID > lastID:
			r.leftOut(object, "", "its sender is not an id of a node")
			return false
		}
		v.Timestamp = r.when(object, v.Timestamp)
		inbox[k] = append(inbox[k], v)
		return true
	})
}
