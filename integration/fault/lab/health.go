// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
)

// alarms are texts that no log of a member may have.
var alarms = []string{"panic:", "fatal error:", "DATA RACE", "[signal SIG", "goroutine 1 ["}

// Alarms are lines of the members' logs that speak of a bug, whoever caused it.
func (l *Lab) Alarms() ([]string, error) {
	var out []string
	for _, m := range l.Everyone() {
		found, err := alarmsIn(m)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

func alarmsIn(m *Member) ([]string, error) {
	f, err := os.Open(m.LogPath)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []string
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 64<<10), 4<<20)
	for n := 1; lines.Scan(); n++ {
		for _, a := range alarms {
			if strings.Contains(lines.Text(), a) {
				out = append(out, fmt.Sprintf("%s:%d: %s", m.LogPath, n, lines.Text()))
				break
			}
		}
	}
	return out, lines.Err()
}

// Bounds are what a member's process may hold when nothing is asked of it.
type Bounds struct {
	Goroutines, Files int
	Bytes             int64
}

// DefaultBounds are generous for a cluster of a few members with some ten
// thousand nodes, and far below what a leak of a soak reaches.
var DefaultBounds = Bounds{Goroutines: 400, Files: 250, Bytes: 400 << 20}

// Leaks names the members that hold more than the bounds. It waits for them to
// let go: connections of clients that have left end after a moment.
func (l *Lab) Leaks(ctx context.Context, b Bounds) []string {
	var found []string
	_ = await(ctx, func() error { // what is found last is the result
		found = nil
		for _, m := range l.Up() {
			s, err := l.Sample(ctx, m)
			switch {
			case err != nil:
				found = append(found, fmt.Sprintf("%s: no metrics: %v", m.Name, err))
			case s.Goroutines > b.Goroutines || s.Files > b.Files || s.Bytes > b.Bytes:
				found = append(found, fmt.Sprintf("%s holds %d goroutines (at most %d), %d descriptors (%d), %d MiB (%d)", m.Name,
					s.Goroutines, b.Goroutines, s.Files, b.Files, s.Bytes>>20, b.Bytes>>20))
			}
		}
		if found != nil {
			return fmt.Errorf("%s", strings.Join(found, "; "))
		}
		return nil
	})
	return found
}
