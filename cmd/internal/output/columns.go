// SPDX-License-Identifier: Apache-2.0

package output

import "strings"

// shown are the columns of a table, by the type of its rows: what a reader
// looks for first, in 80 columns. -o wide has all of them. A table has the same
// columns whatever the rows hold, so that a script can count on them.
var shown = map[string]string{
	"AuditEntry":         "seq timestamp action actor details",
	"auditRow":           "seq timestamp action actor details",
	"WebhookEvent":       "event_id timestamp action details",
	"letterRow":          "event_id timestamp action attempts reason",
	"DeadLetter":         "event_id timestamp action attempts reason",
	"ProvisionedNetwork": "network_id name join_rule enterprise members revision rbac_pre_assignments",
	"ListedNetwork":      "id name join_rule enterprise members created",
	"ListedNode":         "node_id hostname address role public offline tags",
	"ClusterMember":      "id address suffrage role reachable applied_index problem",
	"AuditChainEnd":      "class head_seq count bytes cut",
	"AuditSink":          "name kind format lag delivered dlq_size stalled error",
	"sinkRow":            "name kind format lag delivered dlq_size stalled error",
	"JoinTokenInfo":      "name expires_at nonvoter used_by",
	"listedCommand":      "command auth doc",
	"PersonNode":         "node_id external_id hostname last_seen",
	"Invite":             "network_id inviter_id timestamp",
	"contextRow":         "current name addrs tls admin_token_file",
	"BlueprintRole":      "external_id role",
}

// short are the headings of columns whose names are longer than what stands
// below them.
var short = map[string]string{
	"network_id": "NETWORK", "node_id": "NODE", "event_id": "EVENT", "inviter_id": "INVITER", "from_node_id": "FROM",
	"applied_index": "APPLIED", "rbac_pre_assignments": "WAITING", "dlq_size": "DEAD", "polo_score": "POLO",
	"timestamp": "TIME", "join_rule": "JOIN RULE", "head_seq": "HEAD",
}

func heading(name string) string {
	if text := short[name]; text != "" {
		return text
	}
	return label(name)
}

func label(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "_", " ")) }

// first are the members that say what an entry is. Replies have theirs in
// alphabetical order, which is of no use to a reader.
var first = []string{"seq", "event_id", "id", "member_id", "cluster_id", "node_id", "from_node_id", "beacon_id", "command", "name", "network_id", "timestamp", "class", "action", "actor", "version", "hostname", "address", "addr",
	"state", "ready", "suffrage", "role", "reachable", "offline"}
