// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"sync/atomic"
	"time"
)

// durationBuckets is how many buckets requestBuckets make, with the one above them.
const durationBuckets = 14

// Durations counts answered requests by how long they took, in the buckets of
// pilot_request_duration_seconds and one above them.
type Durations [durationBuckets]uint64

// durations is what Durations is copied from.
type durations [durationBuckets]atomic.Uint64

func (d *durations) count(took time.Duration) {
	n := 0
	for n < len(requestBuckets) && took.Seconds() > requestBuckets[n] {
		n++
	}
	d[n].Add(1)
}

func (d *durations) load() (out Durations) {
	for i := range d {
		out[i] = d[i].Load()
	}
	return out
}

// Since is what was counted after an earlier count.
func (d Durations) Since(earlier Durations) Durations {
	for i := range d {
		d[i] -= earlier[i]
	}
	return d
}

// Total is how many requests there were.
func (d Durations) Total() (n uint64) {
	for _, c := range d {
		n += c
	}
	return n
}

// Quantile is how long a share of the requests took at most, in seconds, within
// the width of a bucket. What is above all buckets counts as the highest bound.
func (d Durations) Quantile(share float64) float64 {
	if d.Total() == 0 {
		return 0
	}
	rank, low := share*float64(d.Total()), 0.0
	for i, c := range d {
		if i == len(requestBuckets) {
			break
		}
		if rank <= float64(c) && c > 0 {
			return low + (requestBuckets[i]-low)*rank/float64(c)
		}
		rank, low = rank-float64(c), requestBuckets[i]
	}
	return low
}

// Durations counts the requests that were answered since the start.
func (f *FrontDoor) Durations() Durations { return f.took.load() }
