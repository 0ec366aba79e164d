// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Exit is how one run of a member's process ended.
type Exit struct {
	Member string    `json:"member"`
	Run    int       `json:"run"`
	Began  time.Time `json:"began"`
	Ended  time.Time `json:"ended"`
	// Code is the exit code, -1 when Signal ended the process.
	Code   int    `json:"code"`
	Signal string `json:"signal,omitempty"`
	// Expected says who ordered or foresaw this end, empty when nobody did.
	Expected string `json:"expected,omitempty"`
	// Last is the end of its log.
	Last string `json:"last,omitempty"`
}

// String tells the end in a few words.
func (e Exit) String() string {
	how := fmt.Sprintf("exit code %d", e.Code)
	if e.Signal != "" {
		how = e.Signal
	}
	return fmt.Sprintf("%s run %d: %s after %s", e.Member, e.Run, how, e.Ended.Sub(e.Began).Round(time.Millisecond))
}

// Ends that can be foreseen, for [Lab.Expect].
const (
	Killed  = "killed"   // SIGKILL, from outside or at a fault point
	Stopped = "exit 0"   // in good order
	Stalled = "exit 75"  // its disk or log stalled or failed
	Damaged = "exit 78"  // its data must not be used
	Refused = "exit 1"   // could not start
	Aborted = "any exit" // whatever
)

// End is the kind of end, one of the names above where it is one of those.
func (e Exit) End() string {
	switch {
	case e.Signal == syscall.SIGKILL.String():
		return Killed
	case e.Signal != "":
		return e.Signal
	}
	return fmt.Sprintf("exit %d", e.Code)
}

// process is one run of a member.
type process struct {
	cmd    *exec.Cmd
	run    int
	began  time.Time
	exited chan struct{}
	clock  uint64 // where its wall clock can be moved, 0 for nowhere
}

// launch starts a member's process. It dies with this one, also when this one
// is killed.
func (m *Member) launch(env []string) error {
	log, err := os.OpenFile(m.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	m.runs++
	fmt.Fprintf(log, "--- %s run %d, binary %s\n", m.Name, m.runs, m.binary)
	p := &process{run: m.runs, exited: make(chan struct{})}
	p.cmd = exec.Command(m.binary, m.args...)
	p.cmd.Env = append(append(os.Environ(), env...), m.env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	started, err := log.Seek(0, 2)
	if err != nil {
		return err
	}
	p.began = time.Now()
	if p.clock, err = m.lab.spawn(p.cmd, m.lab.WallClocks); err != nil {
		return err
	}
	m.proc = p
	go m.await(p, started)
	return nil
}

// Spawn starts a process that ends with this one at the latest.
func (l *Lab) Spawn(cmd *exec.Cmd) error {
	_, err := l.spawn(cmd, false)
	return err
}

// spawn starts a process from a thread that never ends: the kernel counts the
// end of the thread that forked as the end of the parent.
func (l *Lab) spawn(cmd *exec.Cmd, clock bool) (at uint64, err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	r := spawnRequest{cmd: cmd, clock: clock, done: make(chan spawned, 1)}
	select {
	case l.spawns <- r:
		s := <-r.done
		return s.clock, s.err
	case <-l.closed:
		return 0, errClosed
	}
}

type spawnRequest struct {
	cmd   *exec.Cmd
	clock bool
	done  chan spawned
}

type spawned struct {
	clock uint64
	err   error
}

// await notes how the process ended.
func (m *Member) await(p *process, logged int64) {
	err := p.cmd.Wait()
	e := Exit{Member: m.Name, Run: p.run, Began: p.began, Ended: time.Now()}
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		e.Code = exit.ExitCode()
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			e.Signal = ws.Signal().String()
		}
	default:
		e.Code, e.Last = -1, err.Error()
	}
	if e.Code != 0 && e.Signal == "" {
		e.Last = tail(m.LogPath, logged)
	}
	m.lab.ended(m, p, e)
	close(p.exited)
}

// tail is the last line that says why, of what was logged since an offset.
func tail(path string, from int64) string {
	raw, err := os.ReadFile(path)
	if err != nil || int64(len(raw)) < from {
		return ""
	}
	lines := strings.Split(string(bytes.TrimSpace(raw[from:])), "\n")
	if len(lines) > 4 {
		lines = lines[len(lines)-4:]
	}
	return strings.Join(lines, "\n")
}
