// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// HoldJoins opens conns connections of machines that would join to a peer port
// and says nothing on them until ctx ends. Each is noted in f: "held", or the
// code of the refusal.
func HoldJoins(ctx context.Context, f *Flood, addr string, conns int) {
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{peer.ProtoJoin}, MinVersion: tls.VersionTLS13}
	for range conns {
		dialer := &net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(f.Source)}}
		conn, err := tls.DialWithDialer(dialer, "tcp", addr, config)
		if err != nil {
			f.note(broken)
			continue
		}
		go func() {
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer stop()
			buf := make([]byte, 4096)
			n, _ := conn.Read(buf) // ends at the latest when ctx does
			if strings.Contains(string(buf[:n]), protocol.CodeOverloaded) {
				f.note(protocol.CodeOverloaded)
				return
			}
			f.note("held")
		}()
	}
	<-ctx.Done()
}
