// SPDX-License-Identifier: Apache-2.0

//go:build faults

package fault

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Enabled says whether this binary can be made to fail.
const Enabled = true

// SocketVariable names the environment variable with the control socket's path.
const SocketVariable = "PILOT_FAULT_SOCKET"

// Order is what a test wants to happen at a point.
type Order struct {
	Point Point `json:"point"`
	// Action is crash, sleep, error (EIO), full (ENOSPC) or clear.
	Action string `json:"action"`
	// SleepMS is how long sleep lasts.
	SleepMS int64 `json:"sleep_ms,omitempty"`
	// After is how many hits pass first; Times bounds how often it happens, 0 for always.
	After int `json:"after,omitempty"`
	Times int `json:"times,omitempty"`
}

// Command is one line on the control socket.
type Command struct {
	// Reset takes back all orders and the offset of the clock, before the rest.
	Reset bool   `json:"reset,omitempty"`
	Order *Order `json:"order,omitempty"`
	// OffsetMS moves the wall clock.
	OffsetMS *int64 `json:"offset_ms,omitempty"`
	// Routes replaces the table of peer addresses and where to dial them.
	Routes map[string]string `json:"routes,omitempty"`
	// Stand makes the member a candidate, as if its leader had asked it to take over.
	Stand bool `json:"stand,omitempty"`
	// Reached asks for the number of hits of every point.
	Reached bool `json:"reached,omitempty"`
}

// Answer is the reply to a Command.
type Answer struct {
	Error   string        `json:"error,omitempty"`
	Reached map[Point]int `json:"reached,omitempty"`
}

var table = struct {
	sync.Mutex
	orders  map[Point]*Order
	reached map[Point]int
	offset  time.Duration
	routes  map[string]string
	firsts  *os.File // receives the name of every point at its first hit
}{orders: map[Point]*Order{}, reached: map[Point]int{}}

// standing makes this member a candidate.
var standing atomic.Pointer[func()]

// OnStand says how this member becomes a candidate when a test orders it.
func OnStand(stand func()) { standing.Store(&stand) }

// take notes a hit and returns what to do, if anything.
func take(p Point) (Order, bool) {
	table.Lock()
	defer table.Unlock()
	if table.reached[p]++; table.reached[p] == 1 && table.firsts != nil {
		fmt.Fprintln(table.firsts, p) // a member that is killed next cannot tell any more
	}
	o := table.orders[p]
	if o == nil {
		return Order{}, false
	}
	if o.After > 0 {
		o.After--
		return Order{}, false
	}
	if o.Times > 0 {
		if o.Times--; o.Times == 0 {
			delete(table.orders, p)
		}
	}
	return *o, true
}

// Hit marks a point as reached and does there what a test has ordered.
func Hit(p Point) { _ = Err(p) }

// Err is Hit for points where an error of the disk can be ordered.
func Err(p Point) error {
	o, ok := take(p)
	if !ok {
		return nil
	}
	switch o.Action {
	case "crash":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	case "sleep":
		time.Sleep(time.Duration(o.SleepMS) * time.Millisecond)
	case "error":
		return fmt.Errorf("injected at %s: %w", p, syscall.EIO)
	case "full":
		return fmt.Errorf("injected at %s: %w", p, syscall.ENOSPC)
	}
	return nil
}

// Offset is added to the wall clock.
func Offset() time.Duration {
	table.Lock()
	defer table.Unlock()
	return table.offset
}

// Route is the address to dial instead of a peer's own.
func Route(addr string) string {
	table.Lock()
	defer table.Unlock()
	if to, ok := table.routes[addr]; ok {
		return to
	}
	return addr
}

// Serve starts the control socket. PILOT_FAULT_ROUTES, a JSON object, is the
// first table of routes, so that they hold from the first dial on;
// PILOT_FAULT_ORDERS, a JSON list, are the first orders.
func Serve() error {
	if err := firstOrders(); err != nil {
		return err
	}
	if err := openJournal(os.Getenv("PILOT_FAULT_JOURNAL")); err != nil {
		return err
	}
	if path := os.Getenv("PILOT_FAULT_REACHED"); path != "" {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("PILOT_FAULT_REACHED: %w", err)
		}
		table.firsts = f
	}
	return listen(os.Getenv(SocketVariable))
}

// listen serves the control socket, if one is asked for.
func listen(path string) error {
	if path == "" {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go converse(c)
		}
	}()
	return nil
}

func firstOrders() error {
	if raw := os.Getenv("PILOT_FAULT_ROUTES"); raw != "" {
		if err := json.Unmarshal([]byte(raw), &table.routes); err != nil {
			return fmt.Errorf("PILOT_FAULT_ROUTES: %w", err)
		}
	}
	raw := os.Getenv("PILOT_FAULT_ORDERS")
	if raw == "" {
		return nil
	}
	var orders []Order
	if err := json.Unmarshal([]byte(raw), &orders); err != nil {
		return fmt.Errorf("PILOT_FAULT_ORDERS: %w", err)
	}
	for i := range orders {
		if err := accept(&orders[i]); err != nil {
			return err
		}
	}
	return nil
}

func converse(c net.Conn) {
	defer c.Close()
	enc := json.NewEncoder(c)
	for lines := bufio.NewScanner(c); lines.Scan(); {
		var cmd Command
		var a Answer
		if err := json.Unmarshal(lines.Bytes(), &cmd); err != nil {
			a.Error = err.Error()
		} else {
			a = obey(cmd)
		}
		if enc.Encode(a) != nil {
			return
		}
	}
}

func obey(cmd Command) (a Answer) {
	if cmd.Reset {
		table.Lock()
		clear(table.orders)
		table.offset = 0
		table.Unlock()
	}
	if cmd.Order != nil {
		if err := accept(cmd.Order); err != nil {
			a.Error = err.Error()
		}
	}
	if cmd.Stand {
		if stand := standing.Load(); stand != nil {
			(*stand)()
		} else {
			a.Error = "this member has not started raft"
		}
	}
	table.Lock()
	defer table.Unlock()
	if cmd.OffsetMS != nil {
		table.offset = time.Duration(*cmd.OffsetMS) * time.Millisecond
	}
	if cmd.Routes != nil {
		table.routes = cmd.Routes
	}
	if cmd.Reached {
		a.Reached = map[Point]int{}
		for p, n := range table.reached {
			a.Reached[p] = n
		}
	}
	return a
}

func accept(o *Order) error {
	known := false
	for _, p := range Points {
		known = known || p == o.Point
	}
	if !known {
		return fmt.Errorf("there is no point %q", o.Point)
	}
	table.Lock()
	defer table.Unlock()
	switch o.Action {
	case "clear":
		delete(table.orders, o.Point)
	case "crash", "sleep", "error", "full":
		table.orders[o.Point] = o
	default:
		return fmt.Errorf("there is no action %q", o.Action)
	}
	return nil
}
