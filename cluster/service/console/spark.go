// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"strings"
	"time"
)

const sparkWidth, sparkHeight = 120, 24

// spark is the lag of a sink in the last hour, as a picture beside its number.
type spark struct{ Points, Last, Peak string }

// sparkOf is nil when there is no sample of the sink.
func sparkOf(list []sample, sink string, now time.Time) *spark {
	var peak, last uint64
	var of []sample
	for _, s := range list {
		if lag, there := s.Sinks[sink]; there {
			of, last, peak = append(of, s), lag, max(peak, lag)
		}
	}
	if len(of) == 0 {
		return nil
	}
	begin := now.Add(-samples * sampleEvery).UnixMilli()
	var b strings.Builder
	for _, s := range of {
		x := max(0, float64(s.At-begin)/float64(now.UnixMilli()-begin)*sparkWidth)
		y := sparkHeight - 2 - float64(s.Sinks[sink])/float64(max(peak, 1))*(sparkHeight-4)
		fmt.Fprintf(&b, "%.1f,%.1f ", x, y)
	}
	if len(of) == 1 { // a single point is no line, but twice the same is a dot
		b.WriteString(b.String())
	}
	return &spark{Points: b.String(), Last: count(last), Peak: count(peak)}
}
