// SPDX-License-Identifier: Apache-2.0

package protocol

// Feature is something that a feature level brings to a cluster. A cluster is
// at the highest level that all of its members know; what a later level brings
// is refused until then.
type Feature struct {
	Name string
	// Level is the feature level from which it may be used.
	Level uint32
	Doc   string
}

// LevelFirst is the feature level of a cluster that knows no later feature.
const LevelFirst uint32 = 1

// LevelCounts is the feature level from which the state counts changes.
const LevelCounts uint32 = 2

// Features is the one table of features, in the order of their levels. Rows
// and levels are append-only; a release adds one level at most.
var Features = []Feature{
	{"registry", LevelFirst, "nodes, trust, handshakes, polo scores, beacons, keys"},
	{"networks", LevelFirst, "networks, memberships, roles, invites, policies, tags of members"},
	{"provisioning", LevelFirst, "blueprints, directories, uploads in parts"},
	{"identity", LevelFirst, "identity providers and their key sets, identity webhook, accounts, persons"},
	{"audit", LevelFirst, "the audit log, sinks, webhooks, dead letters"},
	{"signed-requests", LevelFirst, "signatures over whole requests, request ids"},
	{"settings", LevelFirst, "replicated settings, join tokens, requests counted by all members"},
	{"counts", LevelCounts, "changes counted by the state, for metrics that are the same on every member"},
}

// FeatureLevel is the level of a feature, and of what names none.
func FeatureLevel(name string) uint32 {
	for i := range Features {
		if Features[i].Name == name {
			return Features[i].Level
		}
	}
	return LevelFirst
}
