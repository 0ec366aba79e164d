// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster"
)

// restartPause keeps a member that ends at once from spinning.
const restartPause = 500 * time.Millisecond

// devMember is one child process, started again when it ends.
type devMember struct {
	number  int
	binary  string
	args    []string
	dir     string
	restart bool
	say     func(format string, args ...any)

	mu       sync.Mutex
	cmd      *exec.Cmd
	stdin    io.Closer
	exited   chan struct{}
	code     int
	dead     bool
	stopping bool
}

func (d *dev) newMember(binary string, i int) *devMember {
	tls := wireTLSSelf
	if d.noTLS {
		tls = wireTLSOff
	}
	args := []string{"run", "--data-dir", d.dir(i), "--wire-listen", d.addr(0, i), "--peer-listen", d.addr(peerPortOffset, i),
		"--peer-advertise", d.addr(peerPortOffset, i), "--ops-listen", d.addr(opsPortOffset, i), "--wire-tls", tls,
		"--raft-stable-for", "200ms", "--outbound-allow-loopback", "--outbound-file-dir", d.exportDir()}
	if d.rateLimits == "off" {
		args = append(args, "--rate-limits-enabled=false")
	}
	for _, kv := range d.set {
		c := defaultConfig()
		if s, value, err := parseSet(&c, kv); err == nil { // validated before
			args = append(args, "--"+s.flag()+"="+value)
		}
	}
	return &devMember{number: i + 1, binary: binary, args: args, dir: d.dir(i), restart: d.restart == "always",
		say: func(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }}
}

// parseSet reads path=value and checks that the setting takes the value.
func parseSet(c *config, kv string) (setting, string, error) {
	path, value, ok := strings.Cut(kv, "=")
	if !ok {
		return setting{}, "", fmt.Errorf("%q is not setting=value", kv)
	}
	for _, s := range settings(c) {
		if s.path == path {
			return s, value, s.set(value)
		}
	}
	return setting{}, "", fmt.Errorf("there is no setting %q", path)
}

func (m *devMember) logPath() string { return m.dir + ".log" }

// logTail is the end of the member's log, for error messages.
func (m *devMember) logTail() string {
	raw, err := os.ReadFile(m.logPath())
	if err != nil {
		return err.Error()
	}
	if len(raw) > 2000 {
		raw = raw[len(raw)-2000:]
	}
	return string(bytes.TrimSpace(raw))
}

func (m *devMember) start() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopping {
		return nil
	}
	logFile, err := os.OpenFile(m.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close() // the child has its own descriptor
	cmd := exec.Command(m.binary, m.args...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.Env = append(os.Environ(), envParent+"=1")
	// A separate process group: Ctrl-C reaches dev only, which then stops
	// the members in good order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if m.stdin, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	m.cmd, m.exited, m.dead = cmd, make(chan struct{}), false
	go m.await(cmd, m.exited)
	return nil
}

// await notes the end of the process and starts it again where that helps.
func (m *devMember) await(cmd *exec.Cmd, exited chan struct{}) {
	err := cmd.Wait()
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	m.mu.Lock()
	m.code, m.dead = code, true
	again := m.restart && !m.stopping && code != cluster.ExitDamaged
	m.mu.Unlock()
	close(exited)
	if again {
		m.say("n%d ended with %s and is started again; its log is %s", m.number, cmd.ProcessState, m.logPath())
		time.Sleep(restartPause)
		_ = m.start() // dev's survey shows a member that stays away
	}
}

// pid of the running process, 0 when there is none.
func (m *devMember) pid() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd == nil || m.dead {
		return 0
	}
	return m.cmd.Process.Pid
}

func (m *devMember) ended() (code int, ended bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.code, m.cmd != nil && m.dead
}

// stop asks the process to stop and waits for it.
func (m *devMember) stop() {
	m.mu.Lock()
	m.stopping = true
	cmd, exited, dead := m.cmd, m.exited, m.dead
	m.mu.Unlock()
	if cmd == nil || dead {
		return
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may just have ended
	select {
	case <-exited:
	case <-time.After(drainTimeout + 5*time.Second):
		_ = cmd.Process.Kill() // it may just have ended
		<-exited
	}
}

// stopAll stops all members at the same time.
func (d *dev) stopAll() {
	var wg sync.WaitGroup
	for _, m := range d.members {
		wg.Add(1)
		go func() {
			defer wg.Done()
			m.stop()
		}()
	}
	wg.Wait()
}
