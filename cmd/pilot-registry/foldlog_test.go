// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// A day without a quorum, with the messages that raft writes then, fits a
// megabyte, in both formats, and tells how many there were.
func TestADayWithoutQuorumFitsAMegabyte(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			fold := newFoldLog(&out)
			log := hclog.New(&hclog.LoggerOptions{Name: "pilot-registry", Output: fold, JSONFormat: format == "json"}).Named("raft")
			const every, rounds = 5 * time.Second, 24 * 60 * 60 / 5
			for i := range rounds {
				log.Warn("Election timeout reached, restarting election")
				log.Info("entering candidate state", "node", "Node at 127.0.0.1:9100 [Candidate]", "term", i)
				for _, peer := range []string{"b", "c"} {
					log.Error("failed to make requestVote RPC", "target", fmt.Sprintf("{Voter %s 10.0.0.7:9100}", peer), "error", fmt.Sprintf("dial tcp 10.0.0.7:9100: from port %d: connection refused", 40000+i%20000), "term", i)
				}
				time.Sleep(every)
			}
			if err := fold.Close(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if out.Len() > 1<<20 {
				t.Errorf("%s: %d bytes", format, out.Len())
			}
			shown, counted := 0, 0
			for line := range strings.Lines(out.String()) {
				if !strings.Contains(line, "entering candidate state") {
					continue
				}
				_, count, folded := strings.Cut(strings.NewReplacer("}", "", `"repeated":`, "repeated=").Replace(strings.TrimSpace(line)), "repeated=")
				if !folded {
					shown++
					continue
				}
				n := 0
				if _, err := fmt.Sscan(count, &n); err != nil {
					t.Fatalf("%s: %v", line, err)
				}
				counted += n
			}
			if shown != foldAfter || shown+counted != rounds {
				t.Errorf("%s: %d messages are shown and %d counted, of %d", format, shown, counted, rounds)
			}
		})
	}
}

// Messages about another member are another kind, news after a quiet time is
// written at once, and what other parts and levels write is never held back.
func TestWhatIsNotFolded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		fold := newFoldLog(&out)
		defer fold.Close()
		root := hclog.New(&hclog.LoggerOptions{Name: "pilot-registry", Output: fold, Level: hclog.Debug})
		lines := func(write func()) int {
			fold.mu.Lock() // its timers write too
			out.Reset()
			fold.mu.Unlock()
			for range 20 {
				write()
			}
			fold.mu.Lock()
			defer fold.mu.Unlock()
			return strings.Count(out.String(), "\n")
		}
		raft := root.Named("raft")
		about := func(peer string) func() {
			return func() { raft.Warn("failed to heartbeat to", "peer", peer, "backoff time", "100ms") }
		}
		for _, c := range []struct {
			what  string
			write func()
			want  int
		}{
			{"a member", about("10.0.0.1:9100"), foldAfter},
			{"another one", about("10.0.0.2:9100"), foldAfter},
			{"the first again", about("10.0.0.1:9100"), 0},
			{"the audit log", func() { root.Named("audit").Info("event") }, 20},
			{"the front door", func() { root.Named("wire").Warn("request too long") }, 20},
			{"debugging", func() { raft.Debug("detail") }, 20},
		} {
			if got := lines(c.write); got != c.want {
				t.Errorf("%s: %d of 20 messages were written, want %d", c.what, got, c.want)
			}
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := lines(about("10.0.0.1:9100")); got != foldAfter {
			t.Errorf("after a quiet hour %d messages were written, want %d", got, foldAfter)
		}
	})
}

// Kinds that never come twice take no memory without bound.
func TestKindsOfMessagesAreBounded(t *testing.T) {
	fold := newFoldLog(io.Discard)
	defer fold.Close()
	log := hclog.New(&hclog.LoggerOptions{Name: "pilot-registry", Output: fold}).Named("peer")
	for i := range 5 * foldKinds {
		log.Warn("x", "peer", fmt.Sprint(i))
	}
	if n := len(fold.kinds); n > foldKinds {
		t.Errorf("%d kinds are remembered", n)
	}
}
