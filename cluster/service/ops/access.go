// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// private serves a page to callers on this machine and to callers with the
// admin token, and refuses everybody else.
func (c *Config) private(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if isLocal(r) && r.Header.Get("Authorization") == "" {
			next(w, r)
			return
		}
		if ok, e := c.authorized(r); e != nil {
			refuse(w, e)
			return
		} else if !ok {
			w.Header().Set("WWW-Authenticate", `Bearer realm="pilot-registry"`)
			plain(w, http.StatusForbidden, "Forbidden: ask from the member's own machine, or send the admin token as Authorization: Bearer TOKEN\n")
			return
		}
		next(w, r)
	}
}

// authorized reports whether a request brings the admin token. A request
// without a token is not authorized, one with a wrong token is refused.
func (c *Config) authorized(r *http.Request) (bool, *protocol.Error) {
	head := r.Header.Get("Authorization")
	if head == "" {
		return false, nil
	}
	scheme, token, _ := strings.Cut(head, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return false, protocol.Refusef(protocol.CodeAdminToken, "the token is sent as Authorization: Bearer TOKEN")
	}
	if e := c.Admin(r.Context(), r.RemoteAddr, protocol.Secret(strings.TrimSpace(token))); e != nil {
		return false, e
	}
	return true, nil
}

func refuse(w http.ResponseWriter, e *protocol.Error) {
	status := http.StatusUnauthorized
	if e.Code == protocol.CodeRateLimited {
		status = http.StatusTooManyRequests
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="pilot-registry", error="invalid_token"`)
	plain(w, status, e.Text+"\n")
}

// isLocal reports whether a request comes from this machine. A proxy on this
// machine names the caller it speaks for in a header.
func isLocal(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() {
		return false
	}
	for _, name := range []string{"X-Real-IP", "X-Forwarded-For"} {
		for _, value := range r.Header.Values(name) {
			for real := range strings.SplitSeq(value, ",") {
				addr, err := netip.ParseAddr(strings.TrimSpace(real))
				if err != nil || !addr.Unmap().IsLoopback() {
					return false
				}
			}
		}
	}
	return len(r.Header.Values("Forwarded")) == 0
}
