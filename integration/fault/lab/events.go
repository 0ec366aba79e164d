// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// Event is something that happened to the cluster or was done to it.
type Event struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Member string    `json:"member,omitempty"`
	Text   string    `json:"text,omitempty"`
}

// events is the lab's diary, in memory and in a file as it goes.
type events struct {
	mu   sync.Mutex
	list []Event
	file *os.File
}

func newEvents(path string) (*events, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &events{file: f}, nil
}

func (e *events) add(kind, member, format string, args ...any) {
	ev := Event{At: time.Now(), Kind: kind, Member: member, Text: fmt.Sprintf(format, args...)}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
	if line, err := json.Marshal(ev); err == nil { // strings and a time always encode
		_, _ = e.file.Write(append(line, '\n')) // the list in memory counts
	}
}

func (e *events) all() []Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Event(nil), e.list...)
}

func (e *events) close() { _ = e.file.Close() }

// Note adds an event to the diary.
func (l *Lab) Note(kind, member, format string, args ...any) {
	l.events.add(kind, member, format, args...)
}

// Events is the diary so far.
func (l *Lab) Events() []Event { return l.events.all() }
