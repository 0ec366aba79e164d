// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
)

// MaxOpsPerKey is the longest history of one key that is searched: the search
// is exponential in the worst case, and a wrong history of ten thousand
// operations is not proved wrong in any useful time. Workloads go on with a
// fresh key before.
const MaxOpsPerKey = 1000

// Model is a small specification of what one kind of key does.
type Model struct {
	// Kind is the part of Op.Key before the slash.
	Kind string
	// Doc says in one line what is specified.
	Doc string
	// spec decides; convert brings the operations it looks at into its terms.
	spec    porcupine.Model
	convert func(ops []*history.Op) ([]porcupine.Operation, error)
	// needsAlive says that a node going offline by itself is not in the model.
	needsAlive bool
}

// Models are all models by kind.
func Models() map[string]Model {
	out := map[string]Model{}
	for _, m := range []Model{registerModel(), counterModel(), namesModel(), lifeModel(), networkModel()} {
		out[m.Kind] = m
	}
	return out
}

// open is the return time of an operation of unknown outcome: it may take
// effect at any time, or never, which is the same as after everything else.
const open = int64(1<<63 - 1)

// LinearStats say what the porcupine checker looked at.
type LinearStats struct {
	// Keys were searched, with Ops operations, Unknown of them open.
	Keys, Ops, Unknown int
	// Exempt keys were left out because a node of theirs went offline by itself.
	Exempt int
	// Slowest is the longest search.
	Slowest time.Duration
}

// LinearOptions configure the porcupine checker.
type LinearOptions struct {
	// Models by kind; all when nil.
	Models map[string]Model
	// KeyTimeout bounds the search of one key; 20 s when 0. Not to finish in
	// time is a violation.
	KeyTimeout time.Duration
	// Dir receives a picture of every key that fails; none when empty.
	Dir string
	// Reaped are nodes that went offline by themselves.
	Reaped map[uint32]bool
}

// Linear is the porcupine checker.
func Linear(ops []history.Op, o LinearOptions) (LinearStats, []Violation) {
	stats, out := linear(ops, o)
	return stats, out.sorted()
}

func linear(ops []history.Op, o LinearOptions) (LinearStats, *findings) {
	if o.Models == nil {
		o.Models = Models()
	}
	if o.KeyTimeout == 0 {
		o.KeyTimeout = 20 * time.Second
	}
	out := newFindings()
	keys := map[string][]*history.Op{}
	for i := range ops {
		if op := &ops[i]; op.Command != history.CommandDigest {
			keys[op.Key] = append(keys[op.Key], op)
		}
	}
	var stats LinearStats
	var mu sync.Mutex
	var wg sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		free <- struct{}{}
		wg.Add(1)
		go func() {
			defer func() { <-free; wg.Done() }()
			s, v := searchKey(key, keys[key], &o)
			mu.Lock()
			defer mu.Unlock()
			stats.add(s)
			out.merge(v)
		}()
	}
	wg.Wait()
	return stats, out
}

func (s *LinearStats) add(o LinearStats) {
	s.Keys += o.Keys
	s.Ops += o.Ops
	s.Unknown += o.Unknown
	s.Exempt += o.Exempt
	s.Slowest = max(s.Slowest, o.Slowest)
}

// searchKey judges one key.
func searchKey(key string, ops []*history.Op, o *LinearOptions) (LinearStats, *findings) {
	out := newFindings()
	model, known := o.Models[ops[0].Kind()]
	if !known {
		out.blame(CheckerPorcupine, RuleUnchecked, ops[:1], "no model looks at keys of kind %q", ops[0].Kind())
		return LinearStats{}, out
	}
	if model.needsAlive && mentions(ops, o.Reaped) {
		return LinearStats{Exempt: 1}, out
	}
	if len(ops) > MaxOpsPerKey {
		out.blame(CheckerPorcupine, RuleTooMany, ops[:1], "%d operations on one key; %d can be searched", len(ops), MaxOpsPerKey)
		return LinearStats{}, out
	}
	list, err := model.convert(ops)
	if err != nil {
		out.blame(CheckerPorcupine, RuleNotLinearizable, ops[:1], "%v", err)
		return LinearStats{}, out
	}
	stats := LinearStats{Keys: 1, Ops: len(list)}
	for i := range list {
		if list[i].Return == open {
			stats.Unknown++
		}
	}
	begun := time.Now()
	result := porcupine.CheckOperationsTimeout(model.spec, list, o.KeyTimeout)
	stats.Slowest = time.Since(begun)
	if result == porcupine.Ok {
		return stats, out
	}
	v := Violation{Checker: CheckerPorcupine, Workload: ops[0].Workload, Rule: RuleNotLinearizable, Key: key,
		Text: fmt.Sprintf("no order of the %d operations explains the replies (%s)", len(list), model.Doc)}
	if result == porcupine.Unknown {
		v.Rule, v.Text = RuleTimeout, fmt.Sprintf("no order of the %d operations, %d of unknown outcome, was found within %s, nor that there is none", len(list), stats.Unknown, o.KeyTimeout)
	}
	for _, op := range ops {
		v.Ops = append(v.Ops, op.ID)
	}
	v.Artifact = picture(key, model, list, o)
	out.add(v)
	return stats, out
}

// mentions reports whether an operation names one of the nodes.
func mentions(ops []*history.Op, nodes map[uint32]bool) bool {
	if len(nodes) == 0 {
		return false
	}
	for _, op := range ops {
		for _, id := range nodesOf(op) {
			if nodes[id] {
				return true
			}
		}
	}
	return false
}

// picture draws the longest orders that were found. It is made only for keys
// that failed, and its absence does not change the verdict.
func picture(key string, model Model, list []porcupine.Operation, o *LinearOptions) string {
	if o.Dir == "" {
		return ""
	}
	_, info := porcupine.CheckOperationsVerbose(model.spec, list, o.KeyTimeout)
	path := filepath.Join(o.Dir, "linearization-"+strings.Map(plain, key)+".html")
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return ""
	}
	if err := porcupine.VisualizePath(model.spec, info, path); err != nil {
		return ""
	}
	return path
}

// plain keeps the characters that every file system takes.
func plain(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.':
		return r
	}
	return '-'
}

// clients numbers the clients of a key for pictures.
type clients map[string]int

func (c clients) number(name string) int {
	if _, ok := c[name]; !ok {
		c[name] = len(c)
	}
	return c[name]
}
