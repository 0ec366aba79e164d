// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
)

// Measures of the drawing, in pixels.
const (
	plotLeft   = 150
	plotWidth  = 1000
	plotHeight = 160
	laneHeight = 18
	barHeight  = 12
	maxBuckets = 200
)

// box is a rectangle with a text that shows when it is pointed at.
type box struct {
	X, Y, W, H float64
	Class      string
	Title      string
}

// label is a text in the drawing.
type label struct {
	X, Y   float64
	Text   string
	Anchor string
}

// line is a thin line.
type line struct{ X1, Y1, X2, Y2 float64 }

// timeline is the drawing of a run: operations by outcome, faults, leaders,
// all over the same time.
type timeline struct {
	Width, Height float64
	Bars          []box
	Faults        []box
	Leaders       []box
	Labels        []label
	Grid          []line
	Bucket        time.Duration
	Members       []legend
}

type legend struct{ Class, Name string }

// axis brings times to pixels.
type axis struct {
	first, last int64
	left, width float64
}

func (a axis) x(at int64) float64 {
	if a.last <= a.first {
		return a.left
	}
	return a.left + a.width*float64(at-a.first)/float64(a.last-a.first)
}

func draw(r *Run) *timeline {
	first, last := span(r)
	a := axis{first, last, plotLeft, plotWidth}
	t := &timeline{Width: plotLeft + plotWidth + 20}
	t.operations(r.Ops, a)
	y := float64(plotHeight + 30)
	y = t.faults(r.Faults, a, y)
	y = t.leaders(r.Leaders, a, y)
	t.Height = y + 24
	t.ticks(a, y)
	return t
}

// outcomes from the bottom of a bar to its top.
var outcomes = []history.Outcome{history.OK, history.Fail, history.Unknown}

// operations draws how many operations ended when, and how.
func (t *timeline) operations(ops []history.Op, a axis) {
	t.Bucket = bucket(time.Duration(a.last - a.first))
	n := int((a.last-a.first)/int64(t.Bucket)) + 1
	counts := make([]map[history.Outcome]int, n)
	top := 1
	for i := range ops {
		at := int((ops[i].Return - a.first) / int64(t.Bucket))
		if counts[at] == nil {
			counts[at] = map[history.Outcome]int{}
		}
		counts[at][ops[i].Outcome]++
		sum := 0
		for _, c := range counts[at] {
			sum += c
		}
		top = max(top, sum)
	}
	for i, c := range counts {
		from := a.first + int64(i)*int64(t.Bucket)
		x, end := a.x(from), a.x(min(from+int64(t.Bucket), a.last))
		y := float64(plotHeight + 10)
		for _, o := range outcomes {
			if c[o] == 0 {
				continue
			}
			h := float64(plotHeight) * float64(c[o]) / float64(top)
			y -= h
			t.Bars = append(t.Bars, box{x, y, max(end-x-0.5, 0.5), h, string(o), fmt.Sprintf("%s after %s: %d %s", t.Bucket, time.Duration(from-a.first).Round(time.Millisecond), c[o], o)})
		}
	}
	for _, share := range []float64{0, 0.5, 1} {
		y := plotHeight + 10 - plotHeight*share
		perSecond := float64(top) * share / t.Bucket.Seconds()
		t.Labels = append(t.Labels, label{plotLeft - 8, y + 4, strconv.FormatFloat(perSecond, 'f', 0, 64) + "/s", "end"})
		t.Grid = append(t.Grid, line{plotLeft, y, plotLeft + plotWidth, y})
	}
}

// bucket is a round time, at most maxBuckets of which make the run.
func bucket(d time.Duration) time.Duration {
	for _, b := range []time.Duration{10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute} {
		if d/b < maxBuckets {
			return b
		}
	}
	return d/maxBuckets + 1
}

// faults draws a lane per kind of fault and says where the lanes end.
func (t *timeline) faults(faults []Fault, a axis, y float64) float64 {
	var names []string
	for _, f := range faults {
		if !slices.Contains(names, f.Kind) {
			names = append(names, f.Kind)
		}
	}
	slices.Sort(names)
	for _, kind := range names {
		t.lane(kind, y)
		for _, f := range faults {
			if f.Kind != kind {
				continue
			}
			x := a.x(f.Start)
			title := fmt.Sprintf("%s %s, from %s for %s. %s", f.Kind, f.Target, since(a, f.Start), time.Duration(f.End-f.Start).Round(time.Millisecond), f.Detail)
			t.Faults = append(t.Faults, box{x, y, max(a.x(f.End)-x, 2), barHeight, "fault", title})
		}
		y += laneHeight
	}
	return y
}

func since(a axis, at int64) string {
	return time.Duration(at - a.first).Round(time.Millisecond).String()
}

// maxMembers is how many members have a colour of their own.
const maxMembers = 7

// leaders draws who led when.
func (t *timeline) leaders(changes []LeaderChange, a axis, y float64) float64 {
	if len(changes) == 0 {
		return y
	}
	t.lane("leader", y)
	var members []string
	for _, c := range changes {
		if c.Member != "" && !slices.Contains(members, c.Member) {
			members = append(members, c.Member)
		}
	}
	slices.Sort(members)
	class := func(m string) string { return fmt.Sprintf("m%d", slices.Index(members, m)%maxMembers) }
	for _, m := range members {
		t.Members = append(t.Members, legend{class(m), m})
	}
	for i, c := range changes {
		end := a.last
		if i+1 < len(changes) {
			end = changes[i+1].At
		}
		if c.Member == "" {
			continue
		}
		x := a.x(max(c.At, a.first))
		t.Leaders = append(t.Leaders, box{x, y, max(a.x(end)-x, 1), barHeight, class(c.Member),
			fmt.Sprintf("%s led term %d from %s for %s", c.Member, c.Term, since(a, c.At), time.Duration(end-c.At).Round(time.Millisecond))})
	}
	return y + laneHeight
}

func (t *timeline) lane(name string, y float64) {
	t.Labels = append(t.Labels, label{plotLeft - 8, y + 10, name, "end"})
	t.Grid = append(t.Grid, line{plotLeft, y + laneHeight - 3, plotLeft + plotWidth, y + laneHeight - 3})
}

// ticks draws the time below everything.
func (t *timeline) ticks(a axis, y float64) {
	for i := range int64(11) {
		at := a.first + (a.last-a.first)*i/10
		t.Labels = append(t.Labels, label{a.x(at), y + 14, strconv.FormatFloat(time.Duration(at-a.first).Seconds(), 'f', 1, 64) + " s", "middle"})
	}
}
