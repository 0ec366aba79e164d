// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What a receiver answers that is no HTTP is not repeated: it may be the
// request's token, in an encoding that nobody looks for.
func TestAnswersAreNotRepeated(t *testing.T) {
	for _, answer := range []string{"HTTP/1.1 s3cr\"et\r\n\r\n", "s3cr\"et\r\n\r\n", "HTTP/1.1 200 OK\r\ns3cr\"et\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: s3cr\"et\r\n\r\n"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := l.Accept()
			if err == nil {
				_, _ = conn.Read(make([]byte, 4096))
				fmt.Fprint(conn, answer)
				conn.Close()
			}
		}()
		client := (&URLGuard{AllowLoopback: true}).NewHTTPClient(ClientOptions{Timeout: 10 * time.Second})
		req, err := http.NewRequest(http.MethodPost, "http://"+l.Addr().String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Do(req)
		if err == nil || strings.Contains(err.Error(), "s3cr") || !strings.Contains(err.Error(), errNotHTTP.Error()) {
			t.Errorf("%q: %v", answer, err)
		}
		l.Close()
		if _, err = client.Do(req); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("nobody listens: %v", err)
		}
	}
}

// TestEnvironmentProxyIsIgnored: a proxy would connect for us, past the guard.
func TestEnvironmentProxyIsIgnored(t *testing.T) {
	client := new(URLGuard).NewHTTPClient(ClientOptions{Timeout: time.Second})
	if transport, ok := client.Transport.(discreet); !ok || transport.Proxy != nil {
		t.Error("the client uses a proxy")
	}
}
