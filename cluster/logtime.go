// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// logTimeOffset is how far log time is ahead of the median of the voters'
// clocks, as this member knows it while it leads.
func (n *Member) logTimeOffset() time.Duration {
	if n.raft.State() != raft.Leader || n.readyTerm.Load() == 0 {
		return 0
	}
	return n.clock.ahead()
}

// logTimeOffset is what the leader among the members says; nil when none answered.
func logTimeOffset(members []protocol.ClusterMember) *int64 {
	for _, m := range members {
		if m.LogTimeOffsetMS != nil {
			return m.LogTimeOffsetMS
		}
	}
	return nil
}

// logTimeProblem says what is wrong with log time and how long it takes to
// mend itself; "" when it is right.
func logTimeProblem(ahead time.Duration) string {
	const window = protocol.SignedWindowMS * time.Millisecond
	switch {
	case ahead > maxSkew:
		text := fmt.Sprintf("log time is %s ahead of the members' clocks: it runs at a tenth of its speed and is right again in %s",
			ahead.Round(time.Second), (time.Duration(float64(ahead) / slewSlower)).Round(time.Second))
		if ahead > window {
			text += fmt.Sprintf("; until it is less than %d minutes ahead, signed requests are refused", protocol.SignedWindowMS/60_000)
		}
		return text
	case ahead < -maxBehind:
		return fmt.Sprintf("log time is %s behind the members' clocks: it begins anew with them within a minute", (-ahead).Round(time.Second))
	case ahead < -maxSkew:
		return fmt.Sprintf("log time is %s behind the members' clocks: it runs at twice its speed and is right again in %s", (-ahead).Round(time.Second),
			(time.Duration(float64(-ahead) / slewFaster)).Round(time.Second))
	}
	return ""
}
