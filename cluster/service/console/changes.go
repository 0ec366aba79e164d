// SPDX-License-Identifier: Apache-2.0

package console

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// trouble is something that is wrong, and what to do about it.
type trouble struct{ What, Do string }

// troubles are the problems of a status, in words for people: ids are short,
// and of a member that does not answer it says where to look.
func troubles(s *protocol.ClusterStatusReply) (out []trouble) {
	var ids []string
	for _, m := range s.Members {
		ids = append(ids, m.ID, shortID(m.ID))
	}
	short := strings.NewReplacer(ids...)
	for i, problem := range s.Problems {
		t := trouble{What: short.Replace(problem)}
		if i < len(s.NextSteps) {
			t.Do = short.Replace(s.NextSteps[i])
		}
		for _, m := range s.Members {
			if m.Reachable || m.Problem == "" || !strings.HasSuffix(problem, m.Problem) {
				continue
			}
			t = trouble{fmt.Sprintf("member %s does not answer at %s", shortID(m.ID), m.Address), fmt.Sprintf("start member %s again on its machine; if it runs, look at its log and at the network between the members", shortID(m.ID))}
		}
		out = append(out, t)
	}
	return out
}

// upgrade is where a cluster is between two versions.
type upgrade struct {
	// State says it, Next what to do.
	State, Next string
}

// upgradeOf is nil while all members run one version at its newest level.
func upgradeOf(s protocol.ClusterStatusReply) *upgrade {
	running, reach := map[string][]string{}, ^uint32(0)
	for _, m := range s.Members {
		if m.Version == "" {
			return nil // a member that nobody has heard of yet
		}
		running[m.Version] = append(running[m.Version], shortID(m.ID))
		reach = min(reach, m.LevelMax)
	}
	switch {
	case len(running) > 1:
		var parts []string
		for _, version := range slices.Sorted(maps.Keys(running)) {
			parts = append(parts, fmt.Sprintf("%d of %d members run %s (%s)", len(running[version]), len(s.Members), version, strings.Join(running[version], ", ")))
		}
		return &upgrade{"Versions differ: " + strings.Join(parts, "; ") + fmt.Sprintf(". The feature level is %d.", s.FeatureLevel),
			"Install the newer version on the others, one after the other, each when the one before is up. The feature level rises by itself when all run it."}
	case len(s.Members) > 0 && s.FeatureLevel < reach:
		return &upgrade{fmt.Sprintf("All members know feature level %d; the cluster is at %d.", reach, s.FeatureLevel),
			"The leader raises it within seconds, unless upgrades.preserve_downgrade is set. When no downgrade is needed any more, take that setting away and restart the members one after the other."}
	}
	return nil
}

// clusterChange is a change of the cluster in a few words.
type clusterChange struct {
	At   int64 // Unix milliseconds
	Text string
	// Link leads to the event, "" for what the member has seen itself.
	Link string
}

// shownChanges is how many changes the line has.
const shownChanges = 6

// lastChanges puts the events of the cluster and the leaders that this member
// has seen in one line, newest first.
func lastChanges(events []protocol.AuditEntry, hour []sample) (out []clusterChange) {
	for _, e := range events {
		if text := changeText(e); text != "" {
			out = append(out, clusterChange{e.TimeMS, text, fmt.Sprintf("/audit/%d", e.Seq)})
		}
	}
	for _, s := range hour {
		if s.Leader != "" {
			out = append(out, clusterChange{At: s.At, Text: fmt.Sprintf("leader %s → %s", shortID(s.From), shortID(s.Leader))})
		}
	}
	slices.SortStableFunc(out, func(a, b clusterChange) int { return cmp.Compare(b.At, a.At) })
	return out[:min(len(out), shownChanges)]
}

// changeText is "" for events that change nothing about the members.
func changeText(e protocol.AuditEntry) string {
	attr := func(name string) string {
		n := slices.IndexFunc(e.Attrs, func(kv [2]string) bool { return kv[0] == name })
		if n < 0 {
			return "unknown"
		}
		return e.Attrs[n][1]
	}
	switch e.Action {
	case protocol.EventMemberJoined:
		return shortID(attr("member_id")) + " joined"
	case protocol.EventClusterMemberPromoted:
		return shortID(attr("member_id")) + " got a vote"
	case protocol.EventMemberRemoved:
		return shortID(attr("member_id")) + " was removed"
	case protocol.EventLeadershipTransferred:
		return fmt.Sprintf("leadership handed over %s → %s", shortID(attr("from")), shortID(attr("to")))
	case protocol.EventFeatureLevelRaised:
		return "feature level " + attr("to")
	case protocol.EventClusterRestored:
		return "restored from a backup of " + shortID(attr("from_cluster"))
	case protocol.EventClusterRecovered:
		return "recovered with one member"
	}
	return ""
}
