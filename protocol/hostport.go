// SPDX-License-Identifier: Apache-2.0

package protocol

import "net"

func splitHostPort(s string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(s)
	return host, port, err == nil
}
