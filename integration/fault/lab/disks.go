// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// diskBytes is the size of a member's own disk.
const diskBytes = 256 << 20

// NoDisks says why members cannot have disks of their own here; empty when
// they can: it takes root, ext4 and loop devices.
func NoDisks() string {
	if os.Geteuid() != 0 {
		return "needs root"
	}
	for _, tool := range []string{"mkfs.ext4", "mount", "umount", "losetup"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "needs " + tool
		}
	}
	if out, err := exec.Command("losetup", "-f").CombinedOutput(); err != nil {
		return "no loop device is free: " + strings.TrimSpace(string(out))
	}
	return ""
}

func (m *Member) image() string { return m.Dir + ".img" }

// makeDisk gives a member its own file system below its data directory.
func (l *Lab) makeDisk(ctx context.Context, m *Member) error {
	if !l.Disks {
		return nil
	}
	f, err := os.Create(m.image())
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(diskBytes), f.Close(), os.MkdirAll(m.Dir, 0o700)); err != nil {
		return err
	}
	if err := tool(ctx, "mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", m.image()); err != nil {
		return err
	}
	return l.mount(ctx, m)
}

func (l *Lab) mount(ctx context.Context, m *Member) error {
	if err := tool(ctx, "mount", "-o", "loop", m.image(), m.Dir); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mounted[m.Name] = m.Dir
	return nil
}

func (l *Lab) unmount(ctx context.Context, m *Member) error {
	// A process that has just ended may still hold the file system for a moment.
	if err := await(ctx, func() error { return tool(ctx, "umount", m.Dir) }); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.mounted, m.Name)
	return nil
}

func tool(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// shutdownNoFlush is FS_IOC_GOINGDOWN's flag for: nothing more is written, not
// even the journal. With the same call file systems test themselves.
const (
	shutdownIoctl   = 0x8004587d
	shutdownNoFlush = 2
)

// PowerOff cuts the power of a member: what it has not synced is lost, and its
// process is gone. PowerOn brings the disk back.
func (l *Lab) PowerOff(m *Member) error {
	dir, err := os.Open(m.Dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	l.Note("power off", m.Name, "")
	l.Expect(m, "its power was cut", Killed, Stalled, Refused)
	l.mu.Lock()
	m.wanted, m.dark = false, true
	l.mu.Unlock()
	flag := uint32(shutdownNoFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, dir.Fd(), shutdownIoctl, uintptr(unsafe.Pointer(&flag))); errno != 0 {
		return fmt.Errorf("%s: shut the file system down: %w", m.Name, errno)
	}
	_ = l.Kill(m) // it may have noticed already that its disk is gone
	return nil
}

// remountLimit bounds the recovery of a file system.
const remountLimit = 20 * time.Second

// PowerOn lets a member's disk recover what was synced, and makes room on it
// when it was full. The member is down.
func (l *Lab) PowerOn(m *Member) error {
	ctx, cancel := context.WithTimeout(context.Background(), remountLimit)
	defer cancel()
	if err := l.unmount(ctx, m); err != nil {
		return err
	}
	if err := l.mount(ctx, m); err != nil {
		return err
	}
	l.mu.Lock()
	m.dark = false
	l.mu.Unlock()
	return m.makeRoom()
}

func (m *Member) ballast() string { return m.Dir + "/ballast" }

func (m *Member) makeRoom() error {
	if err := os.Remove(m.ballast()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// FillDisk leaves no room on a member's disk, and returns how to make room again.
func (l *Lab) FillDisk(m *Member) (free func() error, err error) {
	f, err := os.Create(m.ballast())
	if err != nil {
		return nil, err
	}
	l.Note("fill disk", m.Name, "")
	free = m.makeRoom
	for block := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return free, errors.Join(err, f.Close())
	}
	// What was delayed must be allocated now, or room turns up again.
	_ = f.Sync() // it may fail for want of room, too
	return free, f.Close()
}

// unmountAll is the end of all disks.
func (l *Lab) unmountAll() {
	l.mu.Lock()
	dirs := make([]string, 0, len(l.mounted))
	for _, dir := range l.mounted {
		dirs = append(dirs, dir)
	}
	clear(l.mounted)
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), remountLimit)
	defer cancel()
	for _, dir := range dirs {
		if err := await(ctx, func() error { return tool(ctx, "umount", dir) }); err != nil {
			l.Note("error", "", "%v", err)
		}
	}
}
