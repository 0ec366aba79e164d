// SPDX-License-Identifier: Apache-2.0

package ops_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
)

// patience is how long a test waits for what must happen; nothing is measured.
const patience = 30 * time.Second

// serve runs the listener's server, changed by change, and returns its address.
func serve(t *testing.T, change func(*http.Server)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := ops.NewServer(ops.Handler(ops.Config{
		Gatherer: prometheus.NewRegistry(), Pprof: true,
		Ready:  func(context.Context) []ops.Check { return nil },
		Health: func() ops.Health { return ops.Health{} },
		Status: func(context.Context) any { return strings.Repeat("x", 1<<20) },
		Stats:  func(bool) ops.Stats { return ops.Stats{} },
	}))
	change(s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l) // ends with the test
	}()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// Headers that are many and short take many times their bytes: with a mebibyte
// each, the places of one source would take more than a member's memory.
func TestLongHeadersTakeNoMemory(t *testing.T) {
	conn := dial(t, serve(t, func(*http.Server) {}))
	go func() { // the server stops reading somewhere
		_, _ = io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: localhost\r\n"+strings.Repeat("a:\n", 10_000)+"\r\n")
	}()
	reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if reply.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("30 kB of headers: %s", reply.Status)
	}
}

// Whoever neither reads nor finishes a request loses the connection: his place
// is for others. The times are made short, so that one that is not set shows.
func TestSilentConnectionsDoNotKeepTheOpsListener(t *testing.T) {
	addr := serve(t, func(s *http.Server) {
		for _, limit := range []*time.Duration{&s.ReadHeaderTimeout, &s.ReadTimeout, &s.WriteTimeout, &s.IdleTimeout} {
			*limit /= 1000
		}
	})
	for name, request := range map[string]string{
		"nothing":              "",
		"half a header":        "GET /livez HT",
		"a body that is due":   "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
		"a request and a rest": "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		conn := dial(t, addr)
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection is still open", name)
		}
	}
}

// A client that asks and asks and reads nothing is cut off.
func TestUnreadRepliesDoNotKeepTheOpsListener(t *testing.T) {
	conn := dial(t, serve(t, func(s *http.Server) { s.WriteTimeout /= 1000 }))
	asks := strings.Repeat("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 100)
	for {
		if _, err := io.WriteString(conn, asks); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the connection is still open")
		} else if err != nil {
			return // closed by the server
		}
	}
}

// Profiles show more of the process than others need, and taking them costs
// what others need. Only callers on the machine get them.
func TestStrangersTakeNoProfiles(t *testing.T) {
	h := ops.Handler(ops.Config{Gatherer: prometheus.NewRegistry(), Pprof: true})
	for remote, want := range map[string]int{
		"127.0.0.1:1": http.StatusOK, "[::1]:1": http.StatusOK, "[::ffff:127.0.0.1]:1": http.StatusOK, "127.9.0.2:1": http.StatusOK,
		"192.0.2.1:1": http.StatusForbidden, "[2001:db8::1]:1": http.StatusForbidden, "[::ffff:192.0.2.1]:1": http.StatusForbidden,
		"[fe80::1%eth0]:1": http.StatusForbidden, "": http.StatusForbidden,
	} {
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/heap", "/debug/pprof/symbol"} {
			if got := status(h, remote, path); got != want {
				t.Errorf("%s for %q: %d, want %d", path, remote, got, want)
			}
		}
	}
}

func status(h http.Handler, remote, path string) int {
	r := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
	r.RemoteAddr = remote
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}
