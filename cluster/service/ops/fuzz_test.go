// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// FuzzRequest asks the listener with arbitrary bytes, as far as HTTP reads them
// as a request: it must not panic, and says nothing of the member under a name
// that is not its own.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"GET /status HTTP/1.1\r\nHost: 127.0.0.1:9080\r\n\r\n",
		"GET /status HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"GET http://evil.example/status HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /readyz?verbose HTTP/1.0\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: [::1]:1\r\nAccept: application/openmetrics-text\r\nAccept-Encoding: gzip\r\n\r\n",
		"POST /livez HTTP/1.1\r\nHost: localhost.\r\nContent-Length: 3\r\n\r\nabc",
		"GET /api/stats HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\r\n",
		"GET /api/badge/nodes.svg HTTP/1.1\r\nHost: localhost\r\nX-Real-IP: 192.0.2.1\r\n\r\n",
		"POST /api/snapshot HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n",
		"GET /readyz?verbose&exclude=leader&exclude=%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /status/../livez HTTP/1.1\r\nHost: [::ffff:127.0.0.1%25lo]\r\n\r\n",
		"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	const secret = "only for this machine"
	h := Handler(Config{
		Gatherer: prometheus.NewRegistry(), Hosts: []string{"registry-1.example"},
		Ready:    func(context.Context) []Check { return []Check{{Name: "leader", Detail: "none"}} },
		Health:   func() Health { return Health{} },
		Status:   func(context.Context) any { return map[string]string{"member_id": secret} },
		Stats:    func(bool) Stats { return Stats{} },
		Snapshot: func(context.Context) error { return nil },
		Admin: func(context.Context, string, protocol.Secret) *protocol.Error {
			return protocol.Refusef(protocol.CodeAdminToken, "invalid admin token")
		},
	})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return
		}
		r.RemoteAddr = "127.0.0.1:1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		name := hostName(r.Host)
		if strings.Contains(w.Body.String(), secret) && name != "registry-1.example" && !isLocalName(name) {
			t.Errorf("the status was shown under the name %q", r.Host)
		}
	})
}
