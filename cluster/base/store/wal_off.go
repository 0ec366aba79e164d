// SPDX-License-Identifier: Apache-2.0

//go:build !raftwal

package store

import "fmt"

// Kinds are the log stores in this build.
var Kinds = []string{KindBolt}

func openWAL(path string) (backend, string, error) {
	return nil, path, fmt.Errorf("log store %s is not in this build: set raft.log_store to %s, or build with -tags raftwal", KindWAL, KindBolt)
}
