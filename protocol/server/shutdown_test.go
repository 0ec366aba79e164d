// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// blocking is a backend whose requests wait to be released.
func blocking() (b *backend, entered, release chan struct{}) {
	entered, release = make(chan struct{}), make(chan struct{})
	return &backend{serve: func(ctx context.Context, _ *server.ConnState, req *protocol.Request) []byte {
		if req.Type != "heartbeat" {
			return []byte(`{"type":"lookup_ok"}`)
		}
		entered <- struct{}{}
		select {
		case <-release:
			return []byte(`{"node_id":5,"type":"heartbeat_ok"}`)
		case <-ctx.Done():
			return []byte(`{"node_id":6,"type":"heartbeat_ok"}`)
		}
	}}, entered, release
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	b, entered, release := blocking()
	s, addr := start(t, server.Config{Backend: b})
	idle, half, busy := dial(t, addr), dial(t, addr), dial(t, addr)
	idle.ask(`{"type":"lookup"}`)
	half.ask(`{"type":"lookup"}`)
	half.write(header(10))
	busy.write(append(frame(`{"type":"heartbeat"}`), frame(`{"type":"lookup"}`)...))
	<-entered

	done := make(chan error, 1)
	go func() { done <- s.Shutdown(t.Context()) }()
	idle.wantClosed()
	half.wantClosed()
	if nc, err := net.Dial("tcp", addr); err == nil {
		wrap(t, nc).wantClosed()
	}
	select {
	case err := <-done:
		t.Fatalf("Shutdown did not wait: %v", err)
	default:
	}
	close(release)
	if got := busy.recv(); got.NodeID != 5 {
		t.Errorf("the request in flight was answered %+v", got)
	}
	busy.wantClosed() // the second request was never begun
	if err := <-done; err != nil {
		t.Error(err)
	}
	if s.Conns() != 0 {
		t.Errorf("%d connections are left", s.Conns())
	}
}

func TestShutdownGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	b, entered, _ := blocking()
	s, addr := start(t, server.Config{Backend: b, Timeouts: server.Timeouts{Request: time.Hour}})
	p := dial(t, addr)
	p.send(`{"type":"heartbeat"}`)
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	p.wantClosed()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("a second Shutdown: %v", err)
	}
}

func TestServeAfterShutdown(t *testing.T) {
	t.Parallel()
	s, err := server.New(server.Config{Backend: &backend{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.ListenAndServe("127.0.0.1:0"); !errors.Is(err, server.ErrServerClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := server.New(server.Config{}); err == nil {
		t.Error("a server without backend")
	}
}

// feeding is a backend whose subscriptions deliver what is put into frames.
func feeding(frames chan string, ended chan struct{}) *backend {
	return &backend{subscribe: func(ctx context.Context, _ *server.ConnState, req *protocol.Request, send func([]byte) error) *protocol.Error {
		defer close(ended)
		if token := req.Body.(*protocol.SubscribeReplication).Token; token != "right" {
			return protocol.Errorf(protocol.CodeTokenInvalid, "invalid replication token")
		}
		for {
			select {
			case f := <-frames:
				if f == "fail" {
					return protocol.Errorf(protocol.CodeInternal, "failed to generate snapshot")
				}
				if send([]byte(f)) != nil {
					return nil
				}
			case <-ctx.Done():
				return nil
			}
		}
	}}
}

const subscribe = `{"type":"subscribe_replication","token":"right"}`

func TestSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes, frames, ended := newPipes(), make(chan string), make(chan struct{})
		startOn(t, server.Config{Backend: feeding(frames, ended)}, pipes)
		p := pipes.dial(t, "10.0.0.1:1")
		p.send(subscribe)
		time.Sleep(20 * time.Second) // no heartbeat goes before the first snapshot
		frames <- `{"type":"replication_snapshot"}`
		if got := p.recv(); got.Type != "replication_snapshot" {
			t.Fatalf("%+v", got)
		}
		for range 8 {
			from := time.Now()
			if got := p.recv(); got.Type != "heartbeat" || time.Since(from) != 15*time.Second {
				t.Fatalf("%+v after %v", got, time.Since(from))
			}
			p.write([]byte("x")) // anything keeps the stream alive, nothing is answered
		}
		big := `{"type":"replication_snapshot","pad":"` + string(make([]byte, 1<<20)) + `"}`
		frames <- big
		if got := p.read(); string(got) != big {
			t.Errorf("a frame of %d bytes came as %d", len(big), len(got))
		}
		p.nc.Close()
		<-ended
	})
}

func TestSilentSubscriberIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes, frames, ended := newPipes(), make(chan string, 1), make(chan struct{})
		s := startOn(t, server.Config{Backend: feeding(frames, ended)}, pipes)
		p := pipes.dial(t, "10.0.0.1:1")
		p.send(subscribe)
		frames <- `{"type":"replication_snapshot"}`
		from := time.Now()
		for range 4 { // the snapshot and heartbeats at 15, 30 and 45 s
			p.read()
		}
		<-ended
		if got := time.Since(from); got != time.Minute {
			t.Errorf("cut off after %v", got)
		}
		synctest.Wait()
		if s.Conns() != 0 {
			t.Error("the connection is still open")
		}
	})
}

func TestSubscriberThatDoesNotReadIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes, frames, ended := newPipes(), make(chan string, 1), make(chan struct{})
		startOn(t, server.Config{Backend: feeding(frames, ended)}, pipes)
		p := pipes.dial(t, "10.0.0.1:1")
		from := time.Now()
		p.send(subscribe)
		frames <- `{"type":"replication_snapshot"}`
		<-ended
		if got := time.Since(from); got != 10*time.Second {
			t.Errorf("cut off after %v", got)
		}
		p.wantClosed()
	})
}

func TestFailedSubscriptionClosesAfterTheError(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ request, frame, want string }{
		"refused":        {`{"type":"subscribe_replication","token":"wrong"}`, "", "invalid replication token"},
		"fails at first": {subscribe, "fail", "failed to generate snapshot"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			frames, ended := make(chan string, 1), make(chan struct{})
			frames <- test.frame
			_, addr := start(t, server.Config{Backend: feeding(frames, ended)})
			p := dial(t, addr)
			p.write(append(frame(test.request), frame(`{"type":"lookup"}`)...))
			if got := p.recv(); got.Error != test.want {
				t.Fatalf("%+v", got)
			}
			p.wantClosed()
		})
	}
}

func TestSubscriptionEndsWithDraining(t *testing.T) {
	t.Parallel()
	frames, ended := make(chan string, 1), make(chan struct{})
	s, addr := start(t, server.Config{Backend: feeding(frames, ended)})
	p := dial(t, addr)
	p.send(subscribe)
	frames <- `{"type":"replication_snapshot"}`
	p.read()
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(t.Context()) }()
	<-ended
	p.wantClosed()
	p.nc.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
