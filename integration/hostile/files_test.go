// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// openFiles is the limit of the members of TestStrangersLeaveTheMemberItsFiles.
const openFiles = 1500

// Strangers who open connections and say nothing must not take the files that
// a member needs for its log, its peers and its operator.
func TestStrangersLeaveTheMemberItsFiles(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: connections come from addresses of their own, 127.0.0.2 and so on, which only Linux has")
	}
	var own syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &own); err != nil || own.Cur < 4*openFiles {
		t.Skipf("skipped: this process may have %d open files, which is too few to take those of a member", own.Cur)
	}
	c := harness.Start(t, harness.Options{RateLimits: true, Registry: limited(t)})
	ready, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	victim, err := NewVictim(t.Context(), c.Addrs())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = victim.Close() })
	for _, n := range ready.Nodes {
		for i := range 2 * openFiles {
			source := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i/500))}
			conn, err := (&net.Dialer{Timeout: 5 * time.Second, LocalAddr: source}).Dial("tcp", n.Wire)
			if err != nil {
				continue // full
			}
			defer conn.Close()
		}
	}
	for _, n := range ready.Nodes {
		if have := filesOf(t, n.PID); have > openFiles-100 {
			t.Errorf("member %s has %d files open of %d", n.Wire, have, openFiles)
		}
		if err := answers(t.Context(), "http://"+n.Ops+"/readyz"); err != nil {
			t.Errorf("the operator of %s: %v", n.Wire, err)
		}
	}
	for i := range 20 {
		if err := victim.write(t.Context(), fmt.Sprint(i)); err != nil {
			t.Fatalf("write %d of a client that was there before: %v", i, err)
		}
	}
}

// limited is the registry with few open files for each of its processes.
func limited(t *testing.T) string {
	t.Helper()
	binary, err := harness.Binary("cmd/pilot-registry")
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "limited")
	content := fmt.Sprintf("#!/bin/sh\nulimit -n %d && exec %s \"$@\"\n", openFiles, binary)
	if err := harness.WriteProgram(script, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	return script
}

func filesOf(t *testing.T, pid int) int {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(reply.Body)
		return fmt.Errorf("%s: %s", reply.Status, body)
	}
	return nil
}
