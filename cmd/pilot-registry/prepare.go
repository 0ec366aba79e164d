// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cmd/internal/contexts"
	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

const (
	// prepareEvery is how long prepare rests before it asks the members again.
	prepareEvery = time.Second
	// prepareAsks bounds one question to one member.
	prepareAsks = 10 * time.Second
	// prepareTokenLife is how long a join token lives that is used at once.
	prepareTokenLife = 5 * time.Minute
)

// preparation is what prepare was told.
type preparation struct {
	from          []string
	first         string
	adminFile     string
	tlsCA, tlsPin string
	context       string
	wait          time.Duration

	c    *config
	told *settingFlags
	out  io.Writer
	log  io.Writer
}

func newPrepare() *cobra.Command {
	var p preparation
	cmd := &cobra.Command{
		Use: "prepare", Short: "Join a cluster, or create it, unless that was done before: for containers and scripts", Args: cobra.NoArgs,
		Long: `prepare makes the data directory of a member, with the same command on every machine. When the directory holds a member
already, it does nothing. Else it asks the members at --from for a join token, with the admin token, and joins. When none of them
can be reached, the machine whose --peer-advertise is the --first creates the cluster; all others wait.

The members are verified by --tls-ca or --tls-pin, or as the context of pilotctl says that --context names. Leave --first out
once the cluster exists: a machine that lost its data directory then joins, and never creates a second cluster.`,
		Example: "  pilot-registry prepare --first m1.example.net:9100 --peer-advertise m1.example.net:9100 \\\n" +
			"    --from m1.example.net:9000,m2.example.net:9000,m3.example.net:9000 \\\n    --tls-ca ca.pem --admin-token-file admin-token",
	}
	p.told = newMemberFlags(cmd)
	f := cmd.Flags()
	f.StringSliceVar(&p.from, "from", nil, "client addresses of all members, HOST:PORT,...")
	f.StringVar(&p.first, "first", "", "peer.advertise of the member that creates the cluster; empty: nobody does")
	f.StringVar(&p.adminFile, "admin-token-file", "", "file with the admin token; the first member makes it with a random one if it is missing")
	f.StringVar(&p.tlsCA, "tls-ca", "", "verify members by the authorities in this PEM file")
	f.StringVar(&p.tlsPin, "tls-pin", "", "accept members with this SHA-256 of their certificate only")
	f.StringVar(&p.context, "context", "", "reach members as this context in ~/.pilot/contexts.json says; the first member keeps it there")
	f.DurationVar(&p.wait, "wait", 5*time.Minute, "how long to wait for a member to join")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.told.load(cmd)
		if err != nil {
			return err
		}
		p.c, p.out, p.log = c, cmd.OutOrStdout(), cmd.ErrOrStderr()
		switch {
		case len(p.from) == 0 && (p.context == "" || p.creates()):
			return failure.Usagef(cmd, "prepare needs the addresses of members: --from, or --context on machines that do not create the cluster")
		case p.adminFile == "" && p.creates():
			return failure.Usagef(cmd, "the --first machine needs --admin-token-file: without an admin token no other machine is let in")
		}
		return p.run(cmd.Context())
	}
	return cmd
}

// creates reports whether this machine may create the cluster.
func (p *preparation) creates() bool { return p.first != "" && p.first == p.c.peerAdvertise() }

// run makes the member, unless there is one.
func (p *preparation) run(ctx context.Context) error {
	made, err := cluster.HoldsMember(p.c.DataDir)
	if err != nil {
		return err
	}
	if made {
		_, err := fmt.Fprintf(p.out, "%s holds a member already; start it:\n  %s\n", p.c.DataDir, p.told.runLine(p.c))
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.wait)
	defer cancel()
	for said := ""; ; {
		token, err := p.askAll(ctx)
		switch {
		case err == nil:
			return p.join(ctx, token)
		case !errors.Is(err, errNobodyThere) && !errors.Is(err, errNotNow):
			return err
		case errors.Is(err, errNobodyThere) && p.creates():
			addr, there := p.anyoneAt(ctx)
			if !there {
				return p.create(ctx)
			}
			err = fmt.Errorf("%w: something answers at %s, so no cluster is created (%w)", errNotNow, addr, err)
		}
		if text := err.Error(); text != said {
			fmt.Fprintf(p.log, "waiting: %s\n", text)
			said = text
		}
		select {
		case <-ctx.Done():
			return &failure.Error{Err: fmt.Errorf("no member let this one in within %s: %w", p.wait, err), Exit: failure.Unavailable, Code: client.CodeUnreachable,
				Hint: "start the other members first; on the first machine of a new cluster give --first with its own --peer-advertise"}
		case <-time.After(prepareEvery):
		}
	}
}

var (
	// errNobodyThere says that no member can be reached.
	errNobodyThere = errors.New("no member can be reached")
	// errNotNow says that a member answered and cannot help now.
	errNotNow = errors.New("no token now")
)

// askAll asks the members one by one for a join token.
func (p *preparation) askAll(ctx context.Context) (string, error) {
	reach, err := p.reach()
	if err != nil {
		return "", err
	}
	opts, err := reachOptions(reach)
	if err != nil {
		return "", err
	}
	var problems []string
	cause := errNobodyThere
	for _, addr := range reach.Addrs {
		token, err := askOne(ctx, addr, opts)
		if err == nil {
			return token, nil
		}
		refused, is := errors.AsType[*client.Error](err)
		switch {
		case !is:
			return "", err
		case !passing(refused):
			return "", &failure.Error{Err: fmt.Errorf("no join token: %w", refused), Exit: failure.Exit(refused.Code, refused.Outcome), Code: refused.Code,
				Hint: "look at --admin-token-file, and at what verifies the members: --tls-ca, --tls-pin or --context"}
		case refused.Code != client.CodeUnreachable:
			cause = errNotNow
		}
		problems = append(problems, err.Error())
	}
	return "", fmt.Errorf("%w: %s", cause, strings.Join(problems, "; "))
}

// anyoneAt looks whether anything listens at an address of a member. What is
// known of the members may be lost with the data directory: their certificate,
// or the admin token.
func (p *preparation) anyoneAt(ctx context.Context) (addr string, there bool) {
	d := net.Dialer{Timeout: prepareAsks}
	for _, addr := range p.from {
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			conn.Close()
			return addr, true
		}
	}
	return "", false
}

// passing reports whether asking again may help. A new member has no admin
// token until the cluster's first entries are decided.
func passing(refused *client.Error) bool {
	exit := failure.Exit(refused.Code, refused.Outcome)
	return exit == failure.Unavailable || exit == failure.Unknown || refused.Code == protocol.CodeAdminDisabled
}

// reach is how the members are reached.
func (p *preparation) reach() (contexts.Context, error) {
	told := contexts.Context{Addrs: p.from, TLSCA: p.tlsCA, TLSPin: p.tlsPin, AdminTokenFile: p.adminFile}
	if p.context == "" {
		return told, nil
	}
	path, err := contexts.Path()
	if err != nil {
		return told, err
	}
	file, err := contexts.Load(path)
	if err != nil {
		return told, err
	}
	kept, is := file.Contexts[p.context]
	if !is {
		return told, fmt.Errorf("%w: %s holds no context %q", errNobodyThere, path, p.context)
	}
	if len(told.Addrs) > 0 {
		kept.Addrs = told.Addrs
	}
	if told.AdminTokenFile != "" {
		kept.AdminTokenFile = told.AdminTokenFile
	}
	return kept, nil
}

// reachOptions are the client's options. The admin token goes to verified
// members only, unless the context allows it in clear text.
func reachOptions(reach contexts.Context) ([]client.Option, error) {
	admin, err := readToken(reach.AdminTokenFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no admin token yet: %w", errNobodyThere, err)
	}
	if err != nil {
		return nil, err
	}
	opts := []client.Option{client.WithAdminToken(admin), client.WithRetryFor(prepareEvery), client.WithTimeout(prepareAsks)}
	switch {
	case reach.TLSPin != "":
		return append(opts, client.WithPin(reach.TLSPin)), nil
	case reach.TLSCA != "":
		return append(opts, client.WithCAFile(reach.TLSCA)), nil
	case reach.TLS:
		return append(opts, client.WithTLS(&tls.Config{MinVersion: tls.VersionTLS12})), nil
	case reach.Insecure:
		return opts, nil
	}
	return nil, &failure.Error{Err: errors.New("nothing says how members are verified, and the admin token is not sent to others"), Exit: failure.Usage,
		Hint: "give --tls-ca or --tls-pin, or a --context that has one"}
}

// askOne asks one member for a join token.
func askOne(ctx context.Context, addr string, opts []client.Option) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, prepareAsks)
	defer cancel()
	c, err := client.New([]string{addr}, opts...)
	if err != nil {
		return "", err
	}
	defer c.Close()
	reply, err := c.ClusterJoinToken(ctx, false, prepareTokenLife)
	if err != nil {
		return "", err
	}
	return reply.JoinToken, nil
}

// join makes another member of the cluster.
func (p *preparation) join(ctx context.Context, token string) error {
	if err := joinCluster(ctx, p.c, token); err != nil {
		return err
	}
	if err := p.told.keep(p.c); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.out, "joined; start this member:\n  %s\n", p.told.runLine(p.c))
	return err
}

// create makes the first member of a new cluster.
func (p *preparation) create(ctx context.Context) error {
	hosts, err := p.c.wireHosts(nil)
	if err != nil {
		return err
	}
	if err := ensureToken(p.adminFile); err != nil {
		return err
	}
	res, err := initCluster(ctx, p.c.DataDir, p.c.peerAdvertise(), p.adminFile, "", hosts...)
	if err != nil {
		return err
	}
	if err := p.told.keep(p.c); err != nil {
		return err
	}
	remember(p.log, p.context, p.c.contextOf(res.pin, p.adminFile))
	_, err = fmt.Fprintf(p.out, "cluster    %s\nmember     %s\nwire pin   %s\n\nStart this member:\n  %s\n", res.ClusterID, res.MemberID, res.pin, p.told.runLine(p.c))
	return err
}
