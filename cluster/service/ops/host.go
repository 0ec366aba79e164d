// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// checkHost refuses requests for names that are not this listener's. A page on
// the web can give its own name the address of this machine and have a browser
// here ask for the status; it cannot make the browser ask for another name.
// What only says whether the member is well is answered under any name.
func checkHost(names []string, next http.Handler) http.Handler {
	own := make([]string, 0, len(names))
	for _, n := range names {
		own = append(own, hostName(n))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		health := r.URL.Path == "/livez" || r.URL.Path == "/readyz" || r.URL.Path == "/healthz"
		if name := hostName(r.Host); !health && !isLocalName(name) && !slices.Contains(own, name) {
			plain(w, http.StatusMisdirectedRequest, fmt.Sprintf(
				"%q is not a name of this listener: use an IP address or localhost, or add the name to ops.hosts\n", name))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLocalName reports whether a host cannot be somebody else's name.
func isLocalName(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil || name == "localhost"
}

// hostName is a host as it is compared: without port, brackets and final dot,
// in lower case.
func hostName(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
