// SPDX-License-Identifier: Apache-2.0

//go:build linux && amd64

package lab

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// A member's wall clock is moved without its help: its own copy of the page
// from which programs read the time is changed while it is stopped at its very
// beginning. The monotonic clock is left alone.

// clockStub asks the kernel for the time and adds an offset in seconds to the
// wall clock: mov eax,228; syscall; test edi,edi; jne out; mov rcx,[rip+6];
// add [rsi],rcx; out: ret. The offset follows it.
var clockStub = []byte{0xb8, 228, 0, 0, 0, 0x0f, 0x05, 0x85, 0xff, 0x75, 0x0a,
	0x48, 0x8b, 0x0d, 6, 0, 0, 0, 0x48, 0x01, 0x0e, 0xc3, 0x90, 0x90, 0, 0, 0, 0, 0, 0, 0, 0}

const clockOffset = 24 // of the offset in the stub

// NoWallClocks says why wall clocks cannot be moved from outside; empty when they can.
func NoWallClocks() string {
	raw, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	if err == nil && strings.TrimSpace(string(raw)) > "1" {
		return "the kernel lets nobody trace processes (yama)"
	}
	return ""
}

// startWithClock starts a process with a wall clock that can be moved, and
// returns where in its memory the offset lies. The calling thread traces the
// process until it returns.
func startWithClock(cmd *exec.Cmd) (at uint64, err error) {
	cmd.SysProcAttr.Ptrace = true
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid := cmd.Process.Pid
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &ws, 0, nil); err != nil || !ws.Stopped() {
		return 0, errors.Join(err, fmt.Errorf("process %d did not stop at its start: %v", pid, ws))
	}
	at, err = patchClock(pid)
	return at, errors.Join(err, syscall.PtraceDetach(pid))
}

func patchClock(pid int) (uint64, error) {
	low, high, err := vdso(pid)
	if err != nil {
		return 0, err
	}
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer mem.Close()
	page := make([]byte, high-low)
	if _, err := io.ReadFull(io.NewSectionReader(mem, int64(low), int64(high-low)), page); err != nil {
		return 0, err
	}
	file, err := elf.NewFile(bytes.NewReader(page))
	if err != nil {
		return 0, err
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return 0, err
	}
	for _, s := range symbols {
		if s.Name == "__vdso_clock_gettime" {
			_, err := mem.WriteAt(clockStub, int64(low+s.Value))
			return low + s.Value + clockOffset, err
		}
	}
	return 0, errors.New("the process has no __vdso_clock_gettime")
}

// vdso finds the page in a process's memory.
func vdso(pid int) (low, high uint64, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.HasSuffix(lines.Text(), "[vdso]") {
			_, err := fmt.Sscanf(lines.Text(), "%x-%x", &low, &high)
			return low, high, err
		}
	}
	return 0, 0, errors.New("the process has no vdso")
}

// MoveWallClock moves a running member's wall clock by whole seconds.
func (l *Lab) MoveWallClock(m *Member, by time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !m.running() || m.proc.clock == 0 {
		return fmt.Errorf("%s has no clock that can be moved", m.Name)
	}
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", m.proc.cmd.Process.Pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	_, err = mem.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(int64(by/time.Second))), int64(m.proc.clock))
	l.events.add("wall clock", m.Name, "off by %s: %v", by, err)
	return err
}
