// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"bytes"
	"io"
	"net"
)

// tlsHandshake is the first byte of every TLS connection. In plain TCP it would
// begin the length of a frame of 352 MiB or more, which nobody may send.
const tlsHandshake = 0x16

// open finds out what the connection speaks and makes its reader.
func (c *conn) open() error {
	if c.srv.cfg.TLS == nil || !c.srv.cfg.Plain {
		rw, err := c.srv.secure(c.nc)
		if err != nil {
			return err
		}
		c.rw, c.in = rw, bufio.NewReaderSize(rw, readBuffer)
		return nil
	}
	// A connection that sends nothing rests as it does between two frames. It
	// holds its own place only: every connection has a goroutine of its own.
	if !c.armRead(c.srv.cfg.Timeouts.Idle) {
		return errDraining
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(c.nc, first); err != nil {
		return err
	}
	begun := io.MultiReader(bytes.NewReader(first), c.nc)
	if first[0] != tlsHandshake {
		c.rw, c.in = c.nc, bufio.NewReaderSize(begun, readBuffer)
		return nil
	}
	rw, err := c.srv.secure(&begunConn{Conn: c.nc, in: begun})
	if err != nil {
		return err
	}
	c.rw, c.in = rw, bufio.NewReaderSize(rw, readBuffer)
	return nil
}

// begunConn is a connection of which the first byte has been read.
type begunConn struct {
	net.Conn
	in io.Reader
}

func (b *begunConn) Read(p []byte) (int, error) { return b.in.Read(p) }
