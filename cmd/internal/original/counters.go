// SPDX-License-Identifier: Apache-2.0

package original

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// readCounters makes the next ids higher than every id that the file names, so
// that no id is given to another node or network.
func (r *reader) readCounters() {
	r.Doc.Version = 1
	r.Doc.NextNode, r.Doc.NextNet = r.nextNode(), r.nextNet()
	r.Doc.TotalRequests = r.top.TotalRequests
	r.Doc.StartTime = r.time("the file", "start_time", r.top.StartTime)
	if began, ok := protocol.ParseTime(r.Doc.StartTime); ok && began.After(r.now) {
		r.leftOut("the file", "start_time", "it lies in the future")
		r.Doc.StartTime = ""
	}
	r.Report.NextNode, r.Report.NextNet = r.Doc.NextNode, r.Doc.NextNet
}

func (r *reader) nextNode() uint32 {
	highest, at := r.highest, "a node"
	see := func(id uint32, object string) {
		if id > highest {
			highest, at = id, object
		}
	}
	for _, id := range r.Doc.PubKeyIdx {
		see(id, "pub_key_idx")
	}
	for _, d := range r.Doc.Networks {
		for _, id := range d.Members {
			see(id, "the members of network "+decimal(uint32(d.ID)))
		}
	}
	for _, pair := range r.Doc.TrustPairs {
		_, high, _ := strings.Cut(pair, ":")
		n, _ := strconv.ParseUint(high, 10, 32) // it has been read
		see(uint32(n), "trust pair "+pair)
	}
	next := highest + 1
	switch {
	case r.top.NextNode == nil:
		r.added("the file", "next_node", fmt.Sprintf("it has none; it is %d now, after the highest id", next))
	case *r.top.NextNode == 0, *r.top.NextNode >= next: // 0: no id is left
		return *r.top.NextNode
	default:
		r.changed("the file", "next_node", fmt.Sprintf("it was %d and is %d now, because of %s", *r.top.NextNode, next, at))
	}
	return next
}

func (r *reader) nextNet() uint16 {
	highest := uint16(0)
	for id := range r.networkIDs {
		highest = max(highest, id)
	}
	next := highest + 1 // 0 after the last
	switch {
	case r.top.NextNet == nil:
		r.added("the file", "next_net", fmt.Sprintf("it has none; it is %d now, after the highest id", next))
	case *r.top.NextNet == 0, next != 0 && *r.top.NextNet >= next:
		return *r.top.NextNet
	default:
		r.changed("the file", "next_net", fmt.Sprintf("it was %d and is %d now, after the highest id", *r.top.NextNet, next))
	}
	return next
}
