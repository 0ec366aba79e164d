// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/hashicorp/go-hclog"
)

// filesKept of the files that the process may have open are not for clients:
// the member's log, its peers, machines that join, the operator's listener and
// what it calls need them. Of a small limit it is half.
const filesKept = 2048

// connsFor is how many connections of clients a member takes: what is
// configured, or what the limit of open files leaves (0: there is none).
// Otherwise strangers who open connections take the files that the member needs
// to write its log and to hear from its peers.
func connsFor(configured, files int, log hclog.Logger) int {
	if files <= 0 {
		return configured
	}
	room := files - min(filesKept, files/2)
	if configured <= room {
		return configured
	}
	log.Warn("the limit of open files leaves fewer connections than wire.max_conns: raise it (LimitNOFILE, ulimit -n)",
		"max_conns", configured, "open_files", files, "connections", room)
	return max(room, 1)
}
