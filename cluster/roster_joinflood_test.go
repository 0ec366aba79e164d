// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Anyone who reaches the peer port can send what is not a request to join, as fast as
// it can. Each refusal is a line in the log, so there is an end to them.
func TestUnreadableRequestsToJoinDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	log := &lines{}
	c := newCluster(t, 1, func(_ int, cfg *Config) {
		cfg.Logger = hclog.New(&hclog.LoggerOptions{Output: log})
	})
	n := c.leader()
	hurried, cancel := context.WithCancel(t.Context())
	cancel() // does not wait for the delays
	before := log.with("join refused")
	var last *protocol.Error
	for i := range 200 {
		junk := []string{`no request`, `{"member_id":"x"}`, `{"member_id":"9b2a51f2-3c1e-4d5a-9a53-3a6f7e9f1d11","version":"\u0007"}`, ``}[i%4]
		_, last = n.roster.handleJoiner(hurried, "192.0.2.1:1", []byte(junk))
	}
	if last == nil || last.Code != protocol.CodeRateLimited {
		t.Errorf("the last was answered with %v, want %s", last, protocol.CodeRateLimited)
	}
	if got := log.with("join refused") - before; got == 0 || got > 30 {
		t.Errorf("%d lines were logged, want one for each that was looked at, at most 30", got)
	}
	if _, e := n.roster.handleJoiner(hurried, "192.0.2.2:1", []byte("no request")); e == nil || e.Code != protocol.CodeInvalid {
		t.Errorf("from elsewhere: %v, want %s", e, protocol.CodeInvalid)
	}
}

// lines keeps what was logged, one write a line.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(b))
	return len(b), nil
}

// longest is the length of the longest line.
func (l *lines) longest() (bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		bytes = max(bytes, len(line))
	}
	return bytes
}

// with is the number of lines that hold a text.
func (l *lines) with(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}
