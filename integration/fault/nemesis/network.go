// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
)

var networkKinds = []*Kind{
	{Name: "split-halves", Doc: "members in two groups, the clients with one of them", group: groupNet, run: halves(true)},
	{Name: "split-members", Doc: "members in two groups, the clients reach both", group: groupNet, run: halves(false)},
	{Name: "split-one", Doc: "one member cut off", group: groupNet, target: targetOne, run: isolate},
	{Name: "split-leader", Doc: "the leader cut off from the other members", group: groupNet, target: targetLeader, run: isolate},
	{Name: "split-ring", Doc: "every member sees its neighbours only", group: groupNet, run: ring},
	{Name: "split-bridge", Doc: "two groups, and one member that sees both", group: groupNet, run: bridge},
	{Name: "split-all", Doc: "no member sees another", group: groupNet, run: shatter},
	{Name: "deaf-one", Doc: "one member sends and receives nothing", group: groupNet, target: targetOne, run: oneWay(true)},
	{Name: "deaf-leader", Doc: "the leader sends and receives nothing", group: groupNet, target: targetLeader, run: oneWay(true)},
	{Name: "mute-one", Doc: "one member receives and nothing it sends arrives", group: groupNet, target: targetOne, run: oneWay(false)},
	{Name: "mute-leader", Doc: "the leader receives and nothing it sends arrives", group: groupNet, target: targetLeader, run: oneWay(false)},
	{Name: "split-clients", Doc: "clients cut off from some members", group: groupNet, run: clientsOnly},
	{Name: "flapping", Doc: "one member cut off and back, again and again", group: groupNet, target: targetOne, args: between("every_ms", 100, 500), run: flapping},
	{Name: "big-packets", Doc: "what the leader sends in big pieces is lost, small ones pass", group: groupNet, target: targetLeader,
		args: between("bytes", 500, 700), run: bigPackets},
	{Name: "held-replies", Doc: "answers to what the leader asked are held and then delivered", group: groupNet, target: targetLeader,
		args: between("hold_ms", 300, 3000), run: heldReplies},
	{Name: "delay", Doc: "everything between members takes longer", group: groupNet, args: each(between("ms", 20, 150), between("jitter_ms", 5, 80)), run: delay},
	{Name: "delay-one", Doc: "one member is far away", group: groupNet, target: targetOne, args: each(between("ms", 50, 300), between("jitter_ms", 10, 100)), run: delay},
	{Name: "loss", Doc: "a share of everything is lost and sent again", group: groupNet, args: between("percent", 5, 30), run: loss},
	{Name: "thin-leader", Doc: "the leader has little bandwidth", group: groupNet, target: targetLeader, args: between("kib_per_s", 24, 256), run: thin},
	{Name: "resets", Doc: "connections between members are reset, again and again", group: groupNet, args: between("every_ms", 100, 1500), run: resets},
	{Name: "client-resets", Doc: "connections of clients are reset, again and again", group: groupNet, args: between("every_ms", 50, 800), run: clientResets},
	{Name: "refusal", Doc: "new connections to one member are reset", group: groupNet, target: targetOne, run: refusal},
}

// during keeps a front in force until the action ends.
func (e *env) during(ctx context.Context, f front) error {
	end := e.weather.add(f)
	defer end()
	until(ctx)
	return nil
}

// groups splits the members in two at random; a is never empty, and never all.
func (e *env) groups(r *rand.Rand) (a, b set) {
	slots := e.lab.Slots()
	r.Shuffle(len(slots), func(i, j int) { slots[i], slots[j] = slots[j], slots[i] })
	a, b = set{}, set{}
	cut := 1
	if len(slots) > 2 {
		cut = 1 + r.IntN(len(slots)-1)
	}
	for i, s := range slots {
		if i < cut {
			a[s] = true
		} else {
			b[s] = true
		}
	}
	return a, b
}

func halves(clients bool) func(context.Context, *env, Action) error {
	return func(ctx context.Context, e *env, a Action) error {
		one, other := e.groups(a.rand())
		f := front{between: apart(one, other)}
		if clients {
			f.clients = func(_, slot int, _ lab.Direction, p *lab.Policy) { p.Block = p.Block || one[slot] }
		}
		return e.during(ctx, f)
	}
}

func isolate(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	return e.during(ctx, front{between: alone(slotsOf(members))})
}

// ring cuts every pair that are not neighbours; of three members it cuts one pair.
func ring(ctx context.Context, e *env, a Action) error {
	slots := e.lab.Slots()
	a.rand().Shuffle(len(slots), func(i, j int) { slots[i], slots[j] = slots[j], slots[i] })
	place := map[int]int{}
	for i, s := range slots {
		place[s] = i + 1
	}
	n := len(slots)
	return e.during(ctx, front{between: func(from, to int, p *lab.Policy) {
		i, j := place[from], place[to]
		if i == 0 || j == 0 {
			return
		}
		gap := max(i, j) - min(i, j)
		if neighbours := gap == 1 || gap == n-1 && n > 3; !neighbours {
			p.Block = true
		}
	}})
}

func bridge(ctx context.Context, e *env, a Action) error {
	slots := e.lab.Slots()
	a.rand().Shuffle(len(slots), func(i, j int) { slots[i], slots[j] = slots[j], slots[i] })
	left, right := set{}, set{}
	for i, s := range slots[1:] { // the first sees both
		if i%2 == 0 {
			left[s] = true
		} else {
			right[s] = true
		}
	}
	return e.during(ctx, front{between: apart(left, right)})
}

func shatter(ctx context.Context, e *env, _ Action) error {
	return e.during(ctx, front{between: func(_, _ int, p *lab.Policy) { p.Block = true }})
}

func oneWay(deaf bool) func(context.Context, *env, Action) error {
	return func(ctx context.Context, e *env, a Action) error {
		members, err := e.targets(ctx, a)
		if err != nil {
			return err
		}
		hit := slotsOf(members)
		return e.during(ctx, front{between: func(from, to int, p *lab.Policy) {
			if deaf && hit[to] || !deaf && hit[from] {
				p.Block = true
			}
		}})
	}
}

func clientsOnly(ctx context.Context, e *env, a Action) error {
	cut, _ := e.groups(a.rand())
	return e.during(ctx, front{clients: func(_, slot int, _ lab.Direction, p *lab.Policy) { p.Block = p.Block || cut[slot] }})
}

func flapping(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	r := a.rand()
	hit := slotsOf(members)
	next := func() time.Duration {
		return a.duration("every_ms")/2 + time.Duration(r.Int64N(int64(a.duration("every_ms"))))
	}
	for {
		end := e.weather.add(front{between: alone(hit)})
		going := wait(ctx, next())
		end()
		if !going || !wait(ctx, next()) {
			return nil
		}
	}
}

// bigPackets makes the path lose what is sent in one big piece: entries of the
// log stop, heartbeats go on.
func bigPackets(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	e.foresee("nothing it sends in big pieces arrives", e.lab.Members(), lab.Stalled)
	hit := slotsOf(members)
	return e.during(ctx, front{between: func(from, _ int, p *lab.Policy) {
		if hit[from] {
			p.MaxPiece = int(a.Args["bytes"])
		}
	}})
}

// heldReplies blocks the way back on connections that the target has dialled,
// and opens it again: answers arrive that are older than what happened since.
func heldReplies(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	hit := slotsOf(members)
	for {
		end := e.weather.add(front{dialled: func(from, _ int, d lab.Direction, p *lab.Policy) {
			p.Block = p.Block || hit[from] && d == lab.Back
		}})
		going := wait(ctx, a.duration("hold_ms"))
		end()
		if !going || !wait(ctx, a.duration("hold_ms")/3) {
			return nil
		}
	}
}

// chosen are the slots of the targets, nil, which means everybody, without a target.
func (e *env) chosen(ctx context.Context, a Action) (set, error) {
	if a.Target == "" {
		return nil, nil
	}
	members, err := e.targets(ctx, a)
	return slotsOf(members), err
}

func (s set) touches(from, to int) bool { return s == nil || s[from] || s[to] }

func delay(ctx context.Context, e *env, a Action) error {
	hit, err := e.chosen(ctx, a)
	if err != nil {
		return err
	}
	return e.during(ctx, front{between: func(from, to int, p *lab.Policy) {
		if hit.touches(from, to) {
			p.Delay += a.duration("ms")
			p.Jitter += a.duration("jitter_ms")
		}
	}})
}

func loss(ctx context.Context, e *env, a Action) error {
	share := float64(a.Args["percent"]) / 100
	return e.during(ctx, front{
		between: func(_, _ int, p *lab.Policy) { p.Loss = max(p.Loss, share) },
		clients: func(_, _ int, _ lab.Direction, p *lab.Policy) { p.Loss = max(p.Loss, share/2) },
	})
}

func thin(ctx context.Context, e *env, a Action) error {
	hit, err := e.chosen(ctx, a)
	if err != nil {
		return err
	}
	e.foresee("entries wait for bandwidth", e.lab.Members(), lab.Stalled)
	return e.during(ctx, front{between: func(from, to int, p *lab.Policy) {
		if hit.touches(from, to) {
			p.Rate = int(a.Args["kib_per_s"]) << 10
		}
	}})
}

func resets(ctx context.Context, e *env, a Action) error {
	r := a.rand()
	return repeat(ctx, func() time.Duration { return a.duration("every_ms") }, func() error {
		slots := e.lab.Slots()
		from, to := slots[r.IntN(len(slots))], slots[r.IntN(len(slots))]
		if from != to {
			e.lab.PeerLink(from, to).Reset()
		}
		return nil
	})
}

func clientResets(ctx context.Context, e *env, a Action) error {
	r := a.rand()
	return repeat(ctx, func() time.Duration { return a.duration("every_ms") }, func() error {
		slots := e.lab.Slots()
		for site := range e.lab.Sites {
			e.lab.ClientLink(site, slots[r.IntN(len(slots))]).Reset()
		}
		return nil
	})
}

func refusal(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	hit := slotsOf(members)
	return e.during(ctx, front{
		dialled: func(_, to int, d lab.Direction, p *lab.Policy) { p.Refuse = p.Refuse || hit[to] && d == lab.There },
		clients: func(_, slot int, d lab.Direction, p *lab.Policy) { p.Refuse = p.Refuse || hit[slot] && d == lab.There },
	})
}
