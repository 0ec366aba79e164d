// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/contexts"
	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// reach is where a command finds the registry, and what else is known of it.
type reach struct {
	addrs  []string
	config configFile
	// context is that of the addresses, nil when they are of no context.
	context *contextOptions
	name    string
	asked   bool // by --context
}

type contextOptions struct{ contexts.Context }

// secure takes over how the context verifies the server.
func (c *contextOptions) secure(o *client.Options) {
	o.Pin, o.CAFile = c.TLSPin, c.TLSCA
	if c.TLS && c.TLSPin == "" && c.TLSCA == "" {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
}

// reach finds the addresses. The other settings of a context, its token above
// all, are for its own addresses only.
func (g *globalFlags) reach(cmd *cobra.Command) (*reach, error) {
	r := &reach{asked: g.context != ""}
	var err error
	if r.config, err = readConfig(); err != nil {
		return nil, err
	}
	if err := r.findContext(cmd, g.context); err != nil {
		return nil, err
	}
	var own []string
	if r.context != nil {
		own = r.context.Addrs
	}
	sources := [][]string{g.addrs, split("PILOT_ADDR"), split("PILOT_REGISTRY"), own, strings.Split(r.config.Registry, ","), {defaultAddr}}
	if r.asked {
		sources = [][]string{g.addrs, own, {defaultAddr}}
	}
	for _, list := range sources {
		if r.addrs = addresses(list); len(r.addrs) > 0 {
			break
		}
	}
	for _, addr := range r.addrs {
		if !slices.Contains(own, addr) && !r.asked {
			r.context = nil
		}
	}
	return r, nil
}

// findContext finds the context that was asked for, else the one in use.
func (r *reach) findContext(cmd *cobra.Command, asked string) error {
	path, err := contexts.Path()
	if err != nil && asked == "" {
		return nil // flags and environment may say everything
	}
	if err != nil {
		return err
	}
	f, err := contexts.Load(path)
	if err != nil {
		return err
	}
	r.name = asked
	if asked == "" {
		r.name = f.Current
	}
	if c, is := f.Contexts[r.name]; is {
		r.context = &contextOptions{c}
	} else if asked != "" {
		return noContext(asked)
	}
	return nil
}

func noContext(name string) error {
	return &failure.Error{Err: fmt.Errorf("no context %q", name), Code: protocol.CodeNotFound, Exit: failure.NotFound,
		Hint: "see which there are: pilotctl context list"}
}

func split(variable string) []string { return strings.Split(os.Getenv(variable), ",") }

// addresses are those of a list that are not empty.
func addresses(list []string) []string {
	var out []string
	for _, a := range list {
		if a = strings.TrimSpace(a); a != "" {
			out = append(out, a)
		}
	}
	return out
}

// guard keeps tokens from going to another machine in clear text. A command
// that can do without the admin token goes on without it.
func (s *session) guard() error {
	if s.flags.insecure || s.reach.context != nil && s.reach.context.Insecure {
		return nil
	}
	if s.clearTo = plainRemote(s.opts); s.clearTo == "" || s.opts.AdminToken == "" {
		return nil
	}
	row := protocol.ByName(wireOf(s.cmd))
	switch {
	case row != nil && row.Auth == protocol.AuthOpen,
		row != nil && row.Auth == protocol.AuthSignature,
		row != nil && row.Auth != protocol.AuthAdmin && s.identity != nil:
		s.opts.AdminToken = ""
		s.say("note: the admin token was not sent, because %s is reached without TLS", s.clearTo)
		return nil
	}
	return s.inClear("the admin token")
}

func (s *session) inClear(what string) error {
	return &failure.Error{Err: fmt.Errorf("%s would travel in clear text to %s", what, s.clearTo), Code: protocol.CodePermissionDenied, Exit: failure.Denied,
		Hint: "use TLS: --tls-pin with the pin that pilot-registry init prints, or --tls-ca; --insecure sends it all the same"}
}

// guardBody keeps other tokens from going to another machine in clear text.
func (s *session) guardBody(body protocol.Body) error {
	if s.clearTo != "" && holdsSecret(reflect.ValueOf(body)) {
		return s.inClear("a token")
	}
	return nil
}

// holdsSecret reports whether a request has a secret in it.
func holdsSecret(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && holdsSecret(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if holdsSecret(v.Field(i)) {
				return true
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if holdsSecret(v.Index(i)) {
				return true
			}
		}
	case reflect.String:
		return v.Type() == reflect.TypeFor[protocol.Secret]() && v.Len() > 0
	}
	return false
}
