// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// onSocket calls f with the connection's descriptor, if it has one.
func onSocket(c net.Conn, f func(fd int)) {
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { f(int(fd)) })
		}
	}
}

// hungUp reports whether the other end of a TCP connection has closed it.
func hungUp(c net.Conn) bool {
	gone := false
	if _, tcp := c.(*net.TCPConn); !tcp {
		return gone
	}
	onSocket(c, func(fd int) {
		n, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = err == nil && n == 0 || err != nil && err != unix.EAGAIN && err != unix.EINTR
	})
	return gone
}

// unacknowledged is how many bytes the other end's host has not acknowledged.
func unacknowledged(c net.Conn) int {
	n := 0
	onSocket(c, func(fd int) {
		if v, err := unix.IoctlGetInt(fd, unix.TIOCOUTQ); err == nil {
			n = v
		}
	})
	return n
}
