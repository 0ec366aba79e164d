// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"html/template"
	"os"
	"sort"
	"strconv"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
)

const (
	// maxKeys is how many failing keys are drawn.
	maxKeys = 5
	// maxDrawn is how many operations of a key are drawn, those around the
	// first one that is to blame.
	maxDrawn = 400
	keyWidth = 2400
)

// keyHistory is what clients did with one key.
type keyHistory struct {
	Key           string
	Text          string
	Width, Height float64
	Bars          []box
	Labels        []label
	Rows          []keyRow
	Shown, All    int
	// Picture is the page that porcupine made, as the source of a frame.
	Picture  template.HTML
	Artifact string
}

// keyRow is an operation in the table below the drawing.
type keyRow struct {
	ID                                                        uint64
	At, Took, Client, Member, Command, Outcome, Index, Result string
	Blamed                                                    bool
}

// keys draws the histories of the first keys that show a violation.
func keys(r *Run) []keyHistory {
	var out []keyHistory
	seen := map[string]bool{}
	first, _ := span(r)
	for i := range r.Result.Violations {
		v := &r.Result.Violations[i]
		if len(v.Ops) == 0 || seen[v.Key] || len(out) == maxKeys {
			continue
		}
		seen[v.Key] = true
		out = append(out, drawKey(r, v, first))
	}
	return out
}

func drawKey(r *Run, v *check.Violation, first int64) keyHistory {
	blamed := map[uint64]bool{}
	if v.Checker != check.CheckerPorcupine { // which blames the whole key
		for _, id := range v.Ops {
			blamed[id] = true
		}
	}
	ops := concerned(r.Ops, v)
	k := keyHistory{Key: v.Key, Text: v.String(), All: len(ops), Artifact: v.Artifact}
	ops = around(ops, blamed)
	k.Shown = len(ops)
	k.bars(ops, blamed)
	for i := range ops {
		k.Rows = append(k.Rows, row(&ops[i], first, blamed[ops[i].ID]))
	}
	if v.Artifact != "" {
		if raw, err := os.ReadFile(v.Artifact); err == nil {
			k.Picture = frame(raw)
		}
	}
	return k
}

// frame wraps a page so that it is shown inside this one and cannot reach out
// of it.
func frame(page []byte) template.HTML {
	return template.HTML(`<iframe sandbox="allow-scripts" srcdoc="` + template.HTMLEscapeString(string(page)) + `"></iframe>`)
}

// concerned are the operations on the violation's key and those it names.
func concerned(ops []history.Op, v *check.Violation) []history.Op {
	named := map[uint64]bool{}
	for _, id := range v.Ops {
		named[id] = true
	}
	var out []history.Op
	for i := range ops {
		if named[ops[i].ID] || v.Key != "" && ops[i].Key == v.Key {
			out = append(out, ops[i])
		}
	}
	history.Sort(out)
	return out
}

// around cuts a long history to what lies around the first operation blamed.
func around(ops []history.Op, blamed map[uint64]bool) []history.Op {
	if len(ops) <= maxDrawn {
		return ops
	}
	at := 0
	for i := range ops {
		if blamed[ops[i].ID] {
			at = i
			break
		}
	}
	from := min(max(at-maxDrawn/2, 0), len(ops)-maxDrawn)
	return ops[from : from+maxDrawn]
}

// bars draws a lane per client.
func (k *keyHistory) bars(ops []history.Op, blamed map[uint64]bool) {
	if len(ops) == 0 {
		return
	}
	lanes := map[string]int{}
	var names []string
	first, last := ops[0].Call, ops[0].Return
	for i := range ops {
		first, last = min(first, ops[i].Call), max(last, ops[i].Return)
		if _, ok := lanes[ops[i].Client]; !ok {
			lanes[ops[i].Client] = 0
			names = append(names, ops[i].Client)
		}
	}
	sort.Strings(names)
	for i, name := range names {
		lanes[name] = i
		k.Labels = append(k.Labels, label{plotLeft - 8, float64(i*laneHeight) + 12, name, "end"})
	}
	a := axis{first, last, plotLeft, keyWidth}
	for i := range ops {
		op := &ops[i]
		class := string(op.Outcome)
		if blamed[op.ID] {
			class += " blamed"
		}
		x := a.x(op.Call)
		k.Bars = append(k.Bars, box{x, float64(lanes[op.Client]*laneHeight) + 2, max(a.x(op.Return)-x, 2), barHeight, class,
			fmt.Sprintf("%d: %s %s at %s, index %d", op.ID, op.Command, result(op), op.Member, op.Index)})
	}
	k.Width, k.Height = plotLeft+keyWidth+20, float64(len(names)*laneHeight)+8
}

func row(op *history.Op, first int64, blamed bool) keyRow {
	r := keyRow{ID: op.ID, At: time.Duration(op.Call - first).Round(time.Microsecond).String(), Took: time.Duration(op.Return - op.Call).Round(time.Microsecond).String(),
		Client: op.Client, Member: op.Member, Command: op.Command, Outcome: string(op.Outcome), Result: result(op), Blamed: blamed}
	if op.Level != "" {
		r.Command += " " + string(op.Level)
	}
	if op.Index != 0 {
		r.Index = strconv.FormatUint(op.Index, 10)
	}
	return r
}

// result is what was asked and answered, in a few words.
func result(op *history.Op) string {
	switch {
	case op.Code != "":
		return string(op.Args) + " → " + op.Code
	case op.Value != "":
		return string(op.Args) + " → " + op.Value
	}
	return string(op.Args)
}
