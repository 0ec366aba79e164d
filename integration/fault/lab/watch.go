// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
)

// Sample is what a member's metrics said at a moment.
type Sample struct {
	At      time.Time `json:"at"`
	Member  string    `json:"member"`
	Run     int       `json:"run"`
	Leader  bool      `json:"leader"`
	Term    uint64    `json:"term"`
	Commit  uint64    `json:"commit"`
	Applied uint64    `json:"applied"`
	// Goroutines, Files and Bytes are what the process holds.
	Goroutines int   `json:"goroutines"`
	Files      int   `json:"files"`
	Bytes      int64 `json:"bytes"`
}

// Reign is a time during which a member said that it leads.
type Reign struct {
	Member string    `json:"member"`
	Term   uint64    `json:"term"`
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
}

// watch polls the members and remembers who led when and which points were reached.
type watch struct {
	lab    *Lab
	client *http.Client
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	last    map[string]Sample
	reigns  []Reign
	current map[string]int         // member → index of its reign
	reached map[fault.Point]uint64 // of all runs that have ended or were seen
	seen    map[string]map[fault.Point]int
}

// pollEvery is the interval of looks at one member.
const pollEvery = 200 * time.Millisecond

func newWatch(l *Lab) *watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{lab: l, cancel: cancel, last: map[string]Sample{}, current: map[string]int{},
		reached: map[fault.Point]uint64{}, seen: map[string]map[fault.Point]int{},
		client: &http.Client{Timeout: time.Second}}
	w.wg.Add(1)
	go w.run(ctx)
	return w
}

func (w *watch) close() {
	w.cancel()
	w.wg.Wait()
	w.client.CloseIdleConnections()
}

// run looks at all members at an interval; one that does not answer holds up
// nobody else.
func (w *watch) run(ctx context.Context) {
	defer w.wg.Done()
	var busy sync.Map
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		for _, m := range w.lab.Up() {
			if _, already := busy.LoadOrStore(m.Name, true); already {
				continue
			}
			w.wg.Add(1)
			go func() {
				defer w.wg.Done()
				defer busy.Delete(m.Name)
				w.look(ctx, m)
			}()
		}
	}
}

func (w *watch) look(ctx context.Context, m *Member) {
	w.lab.mu.Lock()
	run := m.runs
	w.lab.mu.Unlock()
	s, err := w.sample(ctx, m)
	if err != nil {
		return // down, paused or starting
	}
	s.Run = run
	w.note(s)
	if a, err := m.control(command{Reached: true}, pollEvery); err == nil {
		w.points(fmt.Sprintf("%s/%d", m.Name, run), a.Reached)
	}
}

// note keeps a sample and turns the leader's flag into reigns.
func (w *watch) note(s Sample) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last[s.Member] = s
	at, reigns := w.current[s.Member]
	if reigns && (!s.Leader || w.reigns[at].Term != s.Term) {
		delete(w.current, s.Member)
		reigns = false
	}
	if !s.Leader {
		return
	}
	if !reigns {
		at = len(w.reigns)
		w.current[s.Member] = at
		w.reigns = append(w.reigns, Reign{Member: s.Member, Term: s.Term, From: s.At})
	}
	w.reigns[at].Until = s.At
}

// points adds what a run of a member has reached since it was last asked.
func (w *watch) points(run string, counts map[fault.Point]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.seen[run]
	for p, n := range counts {
		if n > before[p] {
			w.reached[p] += uint64(n - before[p])
		}
	}
	w.seen[run] = counts
}

// reachedFile is where members note every point at its first hit.
func (l *Lab) reachedFile() string { return filepath.Join(l.Dir, "reached") }

// Reached counts the hits of each fault point in all members so far, as far as
// they were seen: every point that was hit is in it.
func (l *Lab) Reached() map[fault.Point]uint64 {
	l.watch.mu.Lock()
	out := maps.Clone(l.watch.reached)
	l.watch.mu.Unlock()
	raw, err := os.ReadFile(l.reachedFile())
	if err != nil {
		return out // no member has started yet
	}
	for _, name := range strings.Fields(string(raw)) {
		if p := fault.Point(name); out[p] == 0 {
			out[p] = 1
		}
	}
	return out
}

// Reigns says who led when, as the members' metrics showed it.
func (l *Lab) Reigns() []Reign {
	l.watch.mu.Lock()
	defer l.watch.mu.Unlock()
	return append([]Reign(nil), l.watch.reigns...)
}

// Sample asks a member's metrics now.
func (l *Lab) Sample(ctx context.Context, m *Member) (Sample, error) { return l.watch.sample(ctx, m) }

func (w *watch) sample(ctx context.Context, m *Member) (Sample, error) {
	s := Sample{At: time.Now(), Member: m.Name}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.Ops()+"/metrics", nil)
	if err != nil {
		return s, err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, s.read(resp.Body)
}

// read picks the gauges it needs out of the text format.
func (s *Sample) read(r io.Reader) error {
	found := 0
	for lines := bufio.NewScanner(r); lines.Scan(); {
		name, text, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue
		}
		found++
		switch name {
		case "pilot_raft_leader":
			s.Leader = value == 1
		case "pilot_raft_term":
			s.Term = uint64(value)
		case "pilot_raft_commit_index":
			s.Commit = uint64(value)
		case "pilot_raft_applied_index":
			s.Applied = uint64(value)
		case "go_goroutines":
			s.Goroutines = int(value)
		case "process_open_fds":
			s.Files = int(value)
		case "process_resident_memory_bytes":
			s.Bytes = int64(value)
		default:
			found--
		}
	}
	if found < 7 {
		return fmt.Errorf("%s: only %d of 7 metrics were found", s.Member, found)
	}
	return nil
}
