// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// A first program: a node registers and others find it. The first run makes
// the identity file; the same key always gets the same id.
func Example() {
	addrs, _ := registry() // for example "10.0.0.1:9000", "10.0.0.2:9000"
	dir, err := os.MkdirTemp("", "first-program-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	c, err := client.New(addrs, client.WithIdentityFile(filepath.Join(dir, "node.json")))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()
	if _, err := c.Register(ctx, protocol.Register{ListenAddr: ":4000", Hostname: "first-program"}); err != nil {
		log.Fatal(err)
	}
	if _, err := c.SetTags(ctx, c.NodeID(), []string{"gpu", "web"}); err != nil {
		log.Fatal(err)
	}

	found, err := c.ResolveHostname(ctx, "first-program", c.NodeID())
	if err != nil {
		log.Fatal(err)
	}
	node, err := c.Lookup(ctx, found.NodeID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(node.Hostname, node.Tags)
	// Output: first-program [gpu web]
}

// KeepAlive registers the node and keeps it online until the context ends: it
// waits while no member answers, and registers again when it has to.
func ExampleClient_KeepAlive() {
	c := exampleNode()
	defer c.Close()
	ctx, stop := context.WithCancel(context.Background())
	err := c.KeepAlive(ctx, protocol.Register{ListenAddr: ":4000", Hostname: "kept-alive"}, client.KeepAliveOptions{
		OnRegistered: func(r *protocol.RegisterReply) {
			fmt.Println("online as", r.Hostname)
			stop() // a real program ends when it is told to
		},
		OnOffline:   func(err error) { log.Print("offline: ", err) },
		OnKeyExpiry: func(at time.Time) { log.Print("rotate the key before ", at) },
	})
	fmt.Println(err)
	// Output:
	// online as kept-alive
	// context canceled
}

// Two nodes that trust each other see each other's endpoints.
func ExampleClient_RequestHandshake() {
	ctx := context.Background()
	alice, bob := exampleNode(), exampleNode()
	defer alice.Close()
	defer bob.Close()
	for _, c := range []*client.Client{alice, bob} {
		if _, err := c.Register(ctx, protocol.Register{ListenAddr: ":4001"}); err != nil {
			log.Fatal(err)
		}
	}
	if _, err := alice.RequestHandshake(ctx, alice.NodeID(), bob.NodeID(), "we work together"); err != nil {
		log.Fatal(err)
	}
	inbox, err := bob.PollHandshakes(ctx, bob.NodeID())
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range inbox.Requests {
		fmt.Println("request:", r.Justification)
		if _, err := bob.RespondHandshake(ctx, bob.NodeID(), r.FromNodeID, true); err != nil {
			log.Fatal(err)
		}
	}
	trust, err := alice.CheckTrust(ctx, alice.NodeID(), bob.NodeID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("trusted:", trust.Trusted)
	// Output:
	// request: we work together
	// trusted: true
}

// An enterprise network: its owner invites a node, which accepts and becomes
// an admin for four hours.
func ExampleClient_InviteToNetwork() {
	ctx := context.Background()
	_, token := registry()
	owner, guest := exampleNode(client.WithAdminToken(token)), exampleNode()
	defer owner.Close()
	defer guest.Close()
	for _, c := range []*client.Client{owner, guest} {
		if _, err := c.Register(ctx, protocol.Register{ListenAddr: ":4002"}); err != nil {
			log.Fatal(err)
		}
	}
	network, err := owner.CreateNetwork(ctx, protocol.CreateNetwork{NodeID: owner.NodeID(), Name: "fleet", JoinRule: "invite", Enterprise: true})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := owner.InviteToNetwork(ctx, protocol.InviteToNetwork{InviterID: owner.NodeID(), NetworkID: network.NetworkID, TargetNodeID: guest.NodeID()}); err != nil {
		log.Fatal(err)
	}
	for invite, err := range guest.WatchInvites(ctx, guest.NodeID(), client.WatchOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		if _, err := guest.RespondInvite(ctx, guest.NodeID(), invite.NetworkID, true); err != nil {
			log.Fatal(err)
		}
		break
	}
	if _, err := owner.PromoteMember(ctx, protocol.PromoteMember{NetworkID: network.NetworkID, NodeID: owner.NodeID(), TargetNodeID: guest.NodeID(), ForSeconds: 4 * 3600}); err != nil {
		log.Fatal(err)
	}
	role, err := guest.GetMemberRole(ctx, network.NetworkID, guest.NodeID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(role.Role)
	// Output: admin
}

// A watch begins with what is there and then shows every change.
func ExampleClient_WatchNetworks() {
	_, token := registry()
	c := exampleNode(client.WithAdminToken(token))
	defer c.Close()
	ctx := context.Background()
	owner, err := c.Register(ctx, protocol.Register{ListenAddr: ":4003"})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.CreateNetwork(ctx, protocol.CreateNetwork{NodeID: owner.NodeID, Name: "watched", JoinRule: "open"}); err != nil {
		log.Fatal(err)
	}
	for change, err := range c.WatchNetworks(ctx, client.WatchOptions{Interval: time.Second}) {
		if err != nil {
			log.Fatal(err) // waiting does not help
		}
		if change.Kind == client.Added && change.New.Name == "watched" {
			fmt.Println(change.Kind, change.New.Name)
			break
		}
	}
	// Output: added watched
}

// Every event of the audit trail comes once and in order.
func ExampleClient_WatchAudit() {
	_, token := registry()
	c := exampleNode(client.WithAdminToken(token))
	defer c.Close()
	ctx := context.Background()
	from, err := c.NewestEvent(ctx) // from now on; 0 would be all that are kept
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.Register(ctx, protocol.Register{ListenAddr: ":4004", Hostname: "audited"}); err != nil {
		log.Fatal(err)
	}
	for e, err := range c.WatchAudit(ctx, protocol.GetAuditLog{Action: "node.registered", AfterSeq: from}, client.WatchOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Action, e.NodeID == c.NodeID())
		break
	}
	// Output: node.registered true
}

// A blueprint describes a network; a dry run says what it would change.
func ExampleClient_ProvisionNetwork() {
	_, token := registry()
	c := exampleNode(client.WithAdminToken(token))
	defer c.Close()
	ctx := context.Background()
	request := protocol.ProvisionNetwork{Blueprint: &protocol.Blueprint{Name: "lab", JoinRule: "open"}}
	plan, err := c.ProvisionNetwork(ctx, request, client.WithDryRun())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("changes:", len(plan.Actions)) // each says what would happen
	done, err := c.ProvisionNetwork(ctx, request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("created:", done.Created)
	// Output:
	// changes: 1
	// created: true
}

// A directory listing says who belongs to a network, and with which role.
func ExampleClient_DirectorySync() {
	_, token := registry()
	c := exampleNode(client.WithAdminToken(token))
	defer c.Close()
	ctx := context.Background()
	owner, err := c.Register(ctx, protocol.Register{ListenAddr: ":4005"})
	if err != nil {
		log.Fatal(err)
	}
	network, err := c.CreateNetwork(ctx, protocol.CreateNetwork{NodeID: owner.NodeID, Name: "staff", JoinRule: "invite", Enterprise: true})
	if err != nil {
		log.Fatal(err)
	}
	reply, err := c.DirectorySync(ctx, protocol.DirectorySync{NetworkID: network.NetworkID, Entries: []protocol.DirectoryEntry{
		{ExternalID: "alice@example.org", Role: "admin"},
		{ExternalID: "carl@example.org", Disabled: true},
	}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("members:", reply.Mapped, "not here yet:", reply.Unmapped)
	// Output: members: 0 not here yet: 2
}

// A node changes its key and keeps its id.
func ExampleClient_RotateKey() {
	addrs, _ := registry()
	ctx := context.Background()
	old, err := client.NewIdentity()
	if err != nil {
		log.Fatal(err)
	}
	c, err := client.New(addrs, client.WithIdentity(old))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Register(ctx, protocol.Register{ListenAddr: ":4006"}); err != nil {
		log.Fatal(err)
	}
	next, err := old.Rotated() // save it before it is sent, so that no key is lost
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.RotateKey(ctx, c.NodeID(), next.PublicKey()); err != nil {
		log.Fatal(err)
	}
	_, err = c.Heartbeat(ctx, next.NodeID(), client.WithSigner(next))
	fmt.Println(err)
	// Output: <nil>
}

// The outcome of an error says what is known about a write. One that is not
// known is settled by sending the request again under its id.
func ExampleError() {
	c := exampleNode()
	defer c.Close()
	ctx := context.Background()
	_, err := c.SetHostname(ctx, 4_000_000, "nobody")
	e, _ := errors.AsType[*client.Error](err)
	switch {
	case errors.Is(err, client.ErrOutcomeUnknown):
		_, err = c.SetHostname(ctx, 4_000_000, "nobody", client.WithRequestID(e.RequestID))
	case client.Passing(err):
		log.Print("not applied, may be tried later: ", err)
	case errors.Is(err, client.ErrNotFound):
		fmt.Println(e.Code, e.Outcome)
	}
	// Output: not_found rejected
}

// Any member shows the state of the cluster, also without a leader.
func ExampleClient_ClusterStatus() {
	_, token := registry()
	c := exampleNode(client.WithAdminToken(token))
	defer c.Close()
	status, err := c.ClusterStatus(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(status.Members), "member, ready:", status.Ready)
	// Output: 1 member, ready: true
}
