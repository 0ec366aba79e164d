// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
)

// Order is what is to happen at a point of a member's code.
type Order struct {
	Point fault.Point `json:"point"`
	// Action is crash, sleep, error (EIO), full (ENOSPC) or clear.
	Action  string `json:"action"`
	SleepMS int64  `json:"sleep_ms,omitempty"`
	// After is how many hits pass first, Times bounds how often it happens, 0 for always.
	After int `json:"after,omitempty"`
	Times int `json:"times,omitempty"`
}

// command mirrors fault.Command, which exists only in members that can fail.
type command struct {
	Reset    bool   `json:"reset,omitempty"`
	Order    *Order `json:"order,omitempty"`
	OffsetMS *int64 `json:"offset_ms,omitempty"`
	Stand    bool   `json:"stand,omitempty"`
	Reached  bool   `json:"reached,omitempty"`
}

type answer struct {
	Error   string              `json:"error"`
	Reached map[fault.Point]int `json:"reached"`
}

// controlTimeout bounds one command; a paused member does not answer at all.
const controlTimeout = 2 * time.Second

func (m *Member) control(c command, timeout time.Duration) (answer, error) {
	var a answer
	conn, err := net.DialTimeout("unix", m.socket(), timeout)
	if err != nil {
		return a, fmt.Errorf("%s: %w", m.Name, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return a, err
	}
	if err := json.NewEncoder(conn).Encode(c); err != nil {
		return a, fmt.Errorf("%s: %w", m.Name, err)
	}
	if err := json.NewDecoder(bufio.NewReader(conn)).Decode(&a); err != nil {
		return a, fmt.Errorf("%s: %w", m.Name, err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("%s: %w", m.Name, errors.New(a.Error))
	}
	return a, nil
}

// Order makes something happen at a point of a member's code.
func (l *Lab) Order(m *Member, o Order) error {
	_, err := m.control(command{Order: &o}, controlTimeout)
	if err == nil {
		l.events.add("order", m.Name, "%s at %s after %d hits, %d times, %d ms", o.Action, o.Point, o.After, o.Times, o.SleepMS)
	}
	return err
}

// Stand makes a member a candidate, as if its leader had asked it to take over.
func (l *Lab) Stand(m *Member) error {
	_, err := m.control(command{Stand: true}, controlTimeout)
	if err == nil {
		l.events.add("stand", m.Name, "it stands for election")
	}
	return err
}

// Offset moves a member's wall clock.
func (l *Lab) Offset(m *Member, by time.Duration) error {
	ms := by.Milliseconds()
	_, err := m.control(command{OffsetMS: &ms}, controlTimeout)
	return err
}

// Calm takes back a member's orders and the offset of its clock.
func (l *Lab) Calm(m *Member) error {
	_, err := m.control(command{Reset: true}, controlTimeout)
	return err
}

// StartWith starts a member with an order that holds from its first moment on.
func (l *Lab) StartWith(m *Member, o Order) error {
	raw, err := json.Marshal([]Order{o})
	if err != nil { // strings and numbers always encode
		panic(err)
	}
	l.events.add("order", m.Name, "from the start: %s at %s after %d hits", o.Action, o.Point, o.After)
	return l.Start(m, "PILOT_FAULT_ORDERS="+string(raw))
}
