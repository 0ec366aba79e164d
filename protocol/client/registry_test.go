// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// devCluster is a cluster of real processes for the examples. It starts when
// the first example asks for it and ends with the tests.
type devCluster struct {
	dir   string
	addrs []string
	token string
	cmd   *exec.Cmd
}

var theCluster = sync.OnceValues(startDev)

// registry is the examples' cluster: its addresses and admin token.
func registry() (addrs []string, adminToken string) {
	d, err := theCluster()
	if err != nil {
		panic(err)
	}
	return d.addrs, d.token
}

var started *devCluster

func TestMain(m *testing.M) {
	code := m.Run()
	if started != nil {
		started.stop()
	}
	os.Exit(code)
}

func startDev() (*devCluster, error) {
	dir, err := os.MkdirTemp("", "pilot-examples-")
	if err != nil {
		return nil, err
	}
	d := &devCluster{dir: dir}
	started = d
	binary := filepath.Join(dir, "pilot-registry")
	build := exec.Command("go", "build", "-o", binary, "./cmd/pilot-registry")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build pilot-registry: %w\n%s", err, out)
	}
	base, err := freeBase()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "dev.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	d.cmd = exec.Command(binary, "dev", "--members", "1", "--no-tls", "--rate-limits", "off", "--data-dir", filepath.Join(dir, "data"),
		"--base-port", strconv.Itoa(base), "--ready-file", filepath.Join(dir, "ready.json"), "--admin-token-file", filepath.Join(dir, "token"))
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	return d, d.await()
}

// await waits until the ready file is there and names the members.
func (d *devCluster) await() error {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var ready struct {
			Members []struct{ Wire string }
		}
		raw, err := os.ReadFile(filepath.Join(d.dir, "ready.json"))
		if err != nil || json.Unmarshal(raw, &ready) != nil || len(ready.Members) == 0 {
			continue
		}
		for _, m := range ready.Members {
			d.addrs = append(d.addrs, m.Wire)
		}
		token, err := os.ReadFile(filepath.Join(d.dir, "token"))
		d.token = strings.TrimSpace(string(token))
		return err
	}
	log, _ := os.ReadFile(filepath.Join(d.dir, "dev.log"))
	return fmt.Errorf("the cluster did not come up:\n%s", log)
}

func (d *devCluster) stop() {
	if d.cmd != nil && d.cmd.Process != nil {
		_ = d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = d.cmd.Wait()                          // how it ended does not matter
	}
	os.RemoveAll(d.dir)
}

// freeBase finds a base port whose three ranges are free.
func freeBase() (int, error) {
	for range 100 {
		base := 28000 + rand.IntN(4000)
		free := true
		for _, offset := range []int{0, 100, 200} {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(base+offset)))
			if err != nil {
				free = false
				break
			}
			l.Close()
		}
		if free {
			return base, nil
		}
	}
	return 0, fmt.Errorf("no free ports found")
}

// exampleNode is a client with a new identity.
func exampleNode(opts ...client.Option) *client.Client {
	addrs, _ := registry()
	id, err := client.NewIdentity()
	if err != nil {
		panic(err)
	}
	c, err := client.New(addrs, append(opts, client.WithIdentity(id))...)
	if err != nil {
		panic(err)
	}
	return c
}
