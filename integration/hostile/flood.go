// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// Flood is one attack.
type Flood struct {
	// Name says what it is after.
	Name string
	// Source is the address that it comes from.
	Source string
	// Meant are the codes of which one refuses it; none when it is carried out
	// and does not reach what it is after.
	Meant []string
	// Requests returns request i of a connection.
	Requests func(i int) map[string]any
	// Conns is how many connections it has, MaxRequests how many requests it
	// makes in all.
	Conns, MaxRequests int

	mu      sync.Mutex
	answers map[string]int
	over    bool // refused is closed
	refused chan struct{}
}

// okay counts answers that are not refusals, broken ones that never came.
const (
	okay   = "ok"
	broken = "connection closed"
)

// note counts an answer by its code.
func (f *Flood) note(code string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answers == nil {
		f.answers = map[string]int{}
	}
	f.answers[code]++
	if slices.Contains(f.Meant, code) && !f.over {
		f.over = true
		close(f.met())
	}
}

// met is closed when the flood has been refused as meant.
func (f *Flood) met() chan struct{} {
	if f.refused == nil {
		f.refused = make(chan struct{})
	}
	return f.refused
}

// Refused is closed when the flood has been refused with a code meant for it.
func (f *Flood) Refused() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.met()
}

// String tells what became of the flood.
func (f *Flood) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(f.answers)) {
		parts = append(parts, fmt.Sprintf("%d %s", f.answers[code], code))
	}
	return fmt.Sprintf("%-28s %s", f.Name, strings.Join(parts, ", "))
}

// Run floods the members until ctx ends or the requests are used up.
func (f *Flood) Run(ctx context.Context, addrs []string) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for c := range f.Conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			f.connection(ctx, addrs, c)
		}()
	}
}

// connection makes one connection's requests; it connects again when it is
// thrown out.
func (f *Flood) connection(ctx context.Context, addrs []string, c int) {
	var w *harness.Wire
	defer func() {
		if w != nil {
			_ = w.Close()
		}
	}()
	for i := range f.MaxRequests / f.Conns {
		if ctx.Err() != nil {
			return
		}
		if w == nil {
			var err error
			if w, err = harness.DialFrom(f.Source, addrs[(c+i)%len(addrs)]); err != nil {
				f.note(broken)
				continue
			}
		}
		reply, err := w.Exchange(harness.Frame(f.Requests(c*f.MaxRequests+i)), 20*time.Second)
		if err != nil {
			f.note(broken)
			_ = w.Close()
			w = nil
			continue
		}
		f.note(codeOf(reply))
	}
}

func codeOf(reply []byte) string {
	var r struct{ Type, Code string }
	if json.Unmarshal(reply, &r) != nil || r.Type == "error" && r.Code == "" {
		return "unreadable"
	}
	if r.Type == "error" {
		return r.Code
	}
	return okay
}

// HoldUnread opens connections that ask for the largest reply over and over
// and read nothing, until ctx ends.
func HoldUnread(ctx context.Context, source string, addrs []string, conns, asks int, request map[string]any) {
	one := harness.Frame(request)
	var held []net.Conn
	for c := range conns {
		w, err := harness.DialFrom(source, addrs[c%len(addrs)])
		if err != nil {
			continue
		}
		held = append(held, w.Conn)
		_ = w.SetWriteDeadline(time.Now().Add(2 * time.Second))
		for range asks {
			if _, err := w.Write(one); err != nil {
				break // it is not read any more either
			}
		}
	}
	<-ctx.Done()
	for _, c := range held {
		_ = c.Close()
	}
}
