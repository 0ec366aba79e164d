// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// parallelStep sends one message from each of several actors at once; the
// replies are compared in any order.
func (p *play) parallelStep(st *Step) string {
	replies := make([]any, len(st.Parallel))
	errs := make([]error, len(st.Parallel))
	for _, s := range st.Parallel { // keys, addresses and connections first
		if _, e := p.message(s); e != "" {
			return e
		}
		if _, _, err := p.conn(p.actor(s.Actor)); err != nil {
			return err.Error()
		}
	}
	var wg sync.WaitGroup
	for i, s := range st.Parallel {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, replies[i], errs[i] = p.exchange(s)
		}()
	}
	wg.Wait()
	for i, s := range st.Parallel {
		if errs[i] != nil {
			return errs[i].Error()
		}
		if e := p.bind(s, replies[i]); e != "" && len(s.Bind) > 0 {
			return e
		}
	}
	if p.r.verbose {
		fmt.Printf("      <- %s\n", clip(compact(replies)))
	}
	p.r.compared++
	var e any
	if err := json.Unmarshal(st.Expect, &e); err != nil {
		return "no expectation: " + err.Error()
	}
	x, err := p.env.expand(e)
	if err != nil {
		return err.Error()
	}
	l, _ := x.([]any)
	if d := p.matcher(st).list("replies", "", l, any(replies), false); d != "" {
		return "parallel\n    " + d
	}
	return ""
}

// collectedStep waits until an in-tool server received the expected requests.
func (p *play) collectedStep(st *Step) string {
	s := p.r.servers[st.Collected]
	if s == nil {
		return "no server " + st.Collected
	}
	path, _ := p.env.expandString(st.Path)
	var e any
	if err := json.Unmarshal(st.Expect, &e); err != nil {
		return err.Error()
	}
	x, err := p.env.expand(e)
	if err != nil {
		return err.Error()
	}
	want, _ := x.([]any)
	p.r.compared++
	deadline := time.Now().Add(time.Duration(max(st.RetryMS, 3000)) * time.Millisecond)
	for {
		got := s.collected(render(path))
		d := p.matcher(st).list("collected", "", want, any(got), true)
		if d == "" && st.Count != nil && len(got) != *st.Count {
			d = fmt.Sprintf("expected %d requests, got %d: %s", *st.Count, len(got), compact(got))
		}
		if d == "" {
			return ""
		}
		if time.Now().After(deadline) {
			return "collected by " + st.Collected + "\n    " + d
		}
		time.Sleep(20 * time.Millisecond)
	}
}
