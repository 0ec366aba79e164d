// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

func clip(s string) string {
	if len(s) > 1500 {
		return s[:1500] + "..."
	}
	return s
}

// bind puts values of the reply in variables. A name that is bound already
// must get the same value again; a name whose own expectation refers to it
// was new when recorded, so its value must differ from those bound before
// from the same key.
func (p *play) bind(st *Step, reply any) string {
	if len(st.Bind) == 0 {
		return ""
	}
	var exp any
	json.Unmarshal(st.Expect, &exp)
	for raw, path := range st.Bind {
		n, err := p.env.expandString(raw)
		if err != nil {
			return err.Error()
		}
		name := render(n)
		v, ok := lookupPath(reply, path)
		if !ok {
			return fmt.Sprintf("the reply has no %q to bind as %s", path, name)
		}
		if old, has := p.env.vars[name]; has {
			if old != v {
				return fmt.Sprintf("at reply.%s\n      expected: %s again (%s)\n      got:      %s", path, compact(old), name, compact(v))
			}
			continue
		}
		if e, ok := lookupPath(exp, path); ok && e == "${"+raw+"}" {
			for other, from := range p.bound {
				if from == path && p.env.vars[other] == v {
					return fmt.Sprintf("at reply.%s\n      expected: a new value\n      got:      %s, which is %s", path, compact(v), other)
				}
			}
		}
		p.env.set(name, v)
		p.bound[name] = path
	}
	return ""
}

func (p *play) wholeDeviation(st *Step) string {
	if p.r.deviations {
		return ""
	}
	s, _ := st.Deviation.(string)
	return s
}

func (p *play) matcher(st *Step) *Matcher {
	m := &Matcher{strict: p.r.strict, rules: map[string]string{}, ignore: map[string]bool{}}
	for k, v := range st.Match {
		m.rules[k] = v
	}
	for _, k := range st.Ignore {
		m.ignore[k] = true
	}
	if d, ok := st.Deviation.(map[string]any); ok && !p.r.deviations {
		for k := range d {
			if strings.Contains(k, ".") {
				m.rules[k] = "ignore"
			} else {
				m.ignore[k] = true
			}
		}
	}
	return m
}

func (p *play) compare(st *Step, reply any) string {
	if p.wholeDeviation(st) != "" {
		p.r.deviating++
		return ""
	}
	if len(st.Expect) == 0 {
		if st.Closed {
			return "expected the connection to be closed without a reply"
		}
		return "the step has no expectation"
	}
	if st.Closed {
		return "expected the connection to be closed after the replies"
	}
	p.r.compared++
	return p.compareTo(st, st.Expect, reply)
}

func (p *play) compareTo(st *Step, expect json.RawMessage, reply any) string {
	var e any
	if err := json.Unmarshal(expect, &e); err != nil {
		return err.Error()
	}
	x, err := p.env.expand(e)
	if err != nil {
		return err.Error()
	}
	return p.matcher(st).top(x, reply)
}
