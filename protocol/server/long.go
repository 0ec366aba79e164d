// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

const (
	// longWeight is how many times its length a long request may take until it
	// is answered: as it came, decoded, and as a command whose texts are escaped.
	longWeight = 8
	// LongRequestMemory bounds what requests above protocol.MaxRequestBytes may
	// take together; longEach and longGroup are the parts of it that one source
	// and one IPv6 /48 may have.
	LongRequestMemory   = 256 << 20
	longEach, longGroup = 8, 4
	// meantBytes is the longest request that a client may have meant: the
	// longest of any Pilot client. A header beyond it is not a length at all.
	meantBytes = 64 << 20
	// One source is named once in namedEvery, of namedPlaces that are remembered,
	// and all of them together namedBurst times and then once in namedPause.
	namedEvery, namedPause  = time.Minute, 3 * time.Second
	namedPlaces, namedBurst = 1024, 20
)

// errNoRoom ends a connection whose long request found no room in time.
var errNoRoom = errors.New("too many long requests are being served")

func newLongRequests() *room {
	return newRoom(share.Parts{Total: LongRequestMemory, Each: LongRequestMemory / longEach, Group: LongRequestMemory / longGroup})
}

// awaitRoom waits until a long request of n bytes may be read.
func (c *conn) awaitRoom(n int) error {
	ctx, cancel := context.WithTimeout(c.srv.streams, c.srv.cfg.Timeouts.Frame)
	defer cancel()
	if c.srv.long.wait(ctx, c, &c.longHeld, int64(n)*longWeight) != share.Within {
		c.srv.cfg.Metrics.Malformed("no_room")
		return errNoRoom
	}
	if !c.armRead(c.srv.cfg.Timeouts.Frame) {
		return errDraining
	}
	return nil
}

// tooLong counts a frame above the limit and, when it may be a request, names
// it in the log: nothing is answered, so its sender cannot know why.
func (c *conn) tooLong(n uint32) {
	if n > meantBytes {
		c.srv.cfg.Metrics.Malformed("frame_too_large")
		return
	}
	c.srv.cfg.Metrics.Malformed("request_too_long")
	unnamed, ok := c.srv.named.next(c.source, c.srv.cfg.Now())
	if !ok {
		return
	}
	args := []any{"source", c.state.Source, "bytes", n, "max", c.srv.cfg.MaxRequest}
	if unnamed > 0 {
		args = append(args, "others_not_named", unnamed)
	}
	c.srv.cfg.Logger.Warn("connection closed: its request is longer than wire.max_request", args...)
}

// naming bounds how often something that callers cause is named in the log.
type naming struct {
	mu      sync.Mutex
	all     *rate.Limiter
	last    *share.Table[share.Source, time.Time]
	unnamed int
}

func newNaming() *naming {
	return &naming{all: rate.NewLimiter(rate.Every(namedPause), namedBurst), last: share.NewTable[share.Source, time.Time](namedPlaces)}
}

// next reports whether to name the source now, and how many times that was
// left out since the last one that was named.
func (n *naming) next(source share.Source, now time.Time) (unnamed int, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	last := n.last.Slots(source, func(t *time.Time) bool { return now.Sub(*t) >= namedEvery })[0].Value
	if now.Sub(*last) < namedEvery || !n.all.AllowN(now, 1) {
		n.unnamed++
		return 0, false
	}
	*last, unnamed, n.unnamed = now, n.unnamed, 0
	return unnamed, true
}

// keepsBuffer reports whether a request buffer may wait for the next request.
func keepsBuffer(buf *[]byte) bool { return cap(*buf) <= 2*protocol.MaxRequestBytes }
