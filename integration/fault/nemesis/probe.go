// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// probe registers its own node again and again, through one member at a
// time, to find out whether that member serves. It leaves the workloads' nodes
// alone.
type probe struct {
	lab *lab.Lab
	id  *client.Identity
}

// probeSite is the site whose links the probe uses.
const probeSite = 1

// newProbe registers the probe's node for the first time.
func newProbe(ctx context.Context, l *lab.Lab) (*probe, error) {
	id, err := client.NewIdentity()
	if err != nil {
		return nil, err
	}
	p := &probe{lab: l, id: id}
	c, err := client.Open(client.Options{Addrs: l.SiteAddrs(probeSite), Identity: id, Timeout: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return p, p.register(ctx, c)
}

// register is a write that may be repeated for ever.
func (p *probe) register(ctx context.Context, c *client.Client) error {
	_, err := c.Register(ctx, protocol.Register{PublicKey: p.id.PublicKey().String(), ListenAddr: ":4000"})
	return err
}

// write tries until the member has acknowledged a write, through its relay.
func (p *probe) write(ctx context.Context, m *lab.Member) error {
	var last error
	for {
		if err := p.once(ctx, m); err == nil {
			return nil
		} else if ctx.Err() == nil || last == nil {
			last = err
		}
		if !wait(ctx, 50*time.Millisecond) {
			return fmt.Errorf("no write was acknowledged: %w", errors.Join(ctx.Err(), last))
		}
	}
}

func (p *probe) once(ctx context.Context, m *lab.Member) error {
	addr := p.lab.ClientLink(probeSite%p.lab.Sites, m.Slot).Addr()
	c, err := client.Open(client.Options{Addrs: []string{addr}, Identity: p.id, Timeout: 3 * time.Second, RetryFor: 3 * time.Second})
	if err != nil {
		return err
	}
	defer c.Close()
	return p.register(ctx, c)
}
