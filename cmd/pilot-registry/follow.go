// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/cmd/internal/original"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// follower reads the store of a running original again whenever that writes it.
type follower struct {
	path string
	read func() (*original.Store, error)
	try  func(*original.Store) error
	say  io.Writer
	// every is how often the file is looked at, still for how long it must not
	// change before it counts as the last one: the original saves every second.
	every, still time.Duration

	seen    os.FileInfo
	changed time.Time
	last    *original.Store
	said    string
}

// follow returns what the file holds when the operator says that the original
// has ended.
func (o *importFlags) follow(ctx context.Context, say io.Writer, in io.Reader) (*original.Store, error) {
	f := &follower{path: o.from, read: o.read, say: say, every: 200 * time.Millisecond, still: 3 * time.Second,
		try: func(s *original.Store) error { return cluster.TryImport(o.config(s)) }}
	return f.run(ctx, lines(in))
}

// lines tells of each line that is read.
func lines(in io.Reader) <-chan struct{} {
	told := make(chan struct{})
	go func() {
		defer close(told)
		for r := bufio.NewReader(in); ; {
			if _, err := r.ReadString('\n'); err != nil {
				return
			}
			told <- struct{}{}
		}
	}()
	return told
}

func (f *follower) run(ctx context.Context, told <-chan struct{}) (*original.Store, error) {
	fmt.Fprintf(f.say, "following %s; stop the original, then press Enter to cut over\n", f.path)
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	over := false
	for {
		problem := f.look()
		if done, err := f.settle(over, problem); done || err != nil {
			return f.last, err
		}
		select {
		case <-ctx.Done():
			return nil, &failure.Error{Err: errors.New("nothing was made: it was told to end"), Code: client.CodeCanceled, Exit: failure.Failed, Hint: "the original goes on as before; press Enter to cut over"}
		case _, open := <-told:
			if !open {
				told = nil // whoever could say so is gone
				if !over {
					return nil, unreadable(errors.New("standard input ended without a line, so nobody can say when to cut over"))
				}
			}
			over = over || open
		case <-tick.C:
		}
	}
}

// settle decides whether the file is the last one. over says that the operator
// has said so.
func (f *follower) settle(over bool, problem error) (done bool, err error) {
	quiet := time.Since(f.changed) >= f.still
	switch {
	case !over && problem != nil && quiet:
		f.tell("it cannot be read: " + problem.Error())
	case !over || !quiet:
		if over {
			f.tell(fmt.Sprintf("waiting until the file has not changed for %s", f.still))
		}
	case problem != nil:
		return false, problem
	default:
		return true, nil
	}
	return false, nil
}

// look reads the file if it has changed. What cannot be read may be half
// written, and is read again.
func (f *follower) look() error {
	info, err := os.Stat(f.path)
	if err != nil {
		return unreadable(err)
	}
	same := f.seen != nil && os.SameFile(info, f.seen) && info.ModTime().Equal(f.seen.ModTime()) && info.Size() == f.seen.Size()
	if same && f.last != nil {
		return nil
	}
	if !same {
		f.seen, f.changed, f.last = info, time.Now(), nil
	}
	store, err := f.read()
	if err != nil {
		return err
	}
	if err := f.try(store); err != nil {
		return unreadable(err)
	}
	f.last = store
	f.tell(fmt.Sprintf("%d nodes, %d networks, %d differences", len(store.Doc.Nodes), len(store.Doc.Networks), len(store.Report.Notes)))
	return nil
}

// tell says what is new.
func (f *follower) tell(text string) {
	if text != f.said {
		f.said = text
		fmt.Fprintf(f.say, "%s  %s\n", time.Now().Format(time.TimeOnly), text)
	}
}
