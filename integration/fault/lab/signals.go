// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// Expect foresees that a member's process may end in one of these ways.
func (l *Lab) Expect(m *Member, why string, ends ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range ends {
		m.expected[end] = why
	}
}

// ExpectNothing takes back what was foreseen, for all members.
func (l *Lab) ExpectNothing() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.members {
		clear(m.expected)
	}
}

// signal sends a signal to a running member.
func (l *Lab) signal(m *Member, s syscall.Signal) (*process, error) {
	if !m.running() {
		return nil, fmt.Errorf("%s is not running", m.Name)
	}
	if err := m.proc.cmd.Process.Signal(s); err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	return m.proc, nil
}

// Kill ends a member with SIGKILL and returns when it is gone. It stays down
// until Start.
func (l *Lab) Kill(m *Member) error {
	l.mu.Lock()
	m.wanted = false
	m.expected[Killed] = "killed by the lab"
	p, err := l.signal(m, syscall.SIGKILL)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	l.events.add("kill", m.Name, "")
	<-p.exited
	return nil
}

// Terminate asks a member to stop in good order and returns when it is gone.
// A member that does not stop before ctx ends is killed, which is an error.
func (l *Lab) Terminate(ctx context.Context, m *Member) error {
	l.mu.Lock()
	m.wanted = false
	m.expected[Stopped] = "terminated by the lab"
	p, err := l.signal(m, syscall.SIGTERM)
	if err == nil && m.paused {
		_, err = l.signal(m, syscall.SIGCONT)
		m.paused = false
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	l.events.add("terminate", m.Name, "")
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("%s does not stop on SIGTERM", m.Name), l.Kill(m))
	}
}

// Pause stops a member's process in its tracks.
func (l *Lab) Pause(m *Member) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.signal(m, syscall.SIGSTOP)
	if err == nil {
		m.paused = true
		l.events.add("pause", m.Name, "")
	}
	return err
}

// Resume lets a paused process continue. A process that ended meanwhile is not an error.
func (l *Lab) Resume(m *Member) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !m.paused || !m.running() {
		return nil
	}
	_, err := l.signal(m, syscall.SIGCONT)
	m.paused = false
	l.events.add("resume", m.Name, "")
	return err
}

// Restart ends a member in good order and starts it again.
func (l *Lab) Restart(ctx context.Context, m *Member) error {
	if l.Running(m) {
		if err := l.Terminate(ctx, m); err != nil {
			return err
		}
	}
	return l.Start(m)
}

// RunOf is the number of a member's present or last run, for AwaitExit.
func (l *Lab) RunOf(m *Member) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return m.runs
}

// AwaitExit waits until a run of a member has ended and returns how. By then
// the member may have been started again.
func (l *Lab) AwaitExit(ctx context.Context, m *Member, run int) (exit Exit, err error) {
	err = await(ctx, func() error {
		for _, e := range l.Exits() {
			if e.Member == m.Name && e.Run == run {
				exit = e
				return nil
			}
		}
		return fmt.Errorf("run %d of %s has not ended", run, m.Name)
	})
	return exit, err
}
