// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/contexts"
	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// contextRow is a context as it is listed.
type contextRow struct {
	Current        bool     `json:"current"`
	Name           string   `json:"name"`
	Addrs          []string `json:"addrs"`
	TLS            string   `json:"tls"`
	TLSPin         string   `json:"tls_pin,omitempty"`
	TLSCA          string   `json:"tls_ca,omitempty"`
	AdminTokenFile string   `json:"admin_token_file,omitempty"`
	Insecure       bool     `json:"insecure"`
}

type contextTable struct {
	Contexts []contextRow `json:"contexts"`
}

func rowOf(f *contexts.File, name string) contextRow {
	c := f.Contexts[name]
	row := contextRow{Current: name == f.Current, Name: name, Addrs: c.Addrs, TLS: "off", TLSPin: c.TLSPin, TLSCA: c.TLSCA,
		AdminTokenFile: c.AdminTokenFile, Insecure: c.Insecure}
	switch {
	case c.TLSPin != "":
		row.TLS = "pin"
	case c.TLSCA != "":
		row.TLS = "ca"
	case c.TLS:
		row.TLS = "system"
	}
	return row
}

func contextVerbs(a *app) []*cobra.Command {
	return []*cobra.Command{contextSet(a), contextUse(a), contextList(a), contextShow(a), contextDelete(a)}
}

// contextVerb is a command about the file of contexts; it asks no member.
func contextVerb(a *app, use, short string, args cobra.PositionalArgs, run func(cmd *cobra.Command, path string, args []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, ValidArgsFunction: completeContexts,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.checkOutput(cmd); err != nil {
				return err
			}
			path, err := contexts.Path()
			if err != nil {
				return err
			}
			return run(cmd, path, args)
		}}
}

func contextSet(a *app) *cobra.Command {
	cmd := contextVerb(a, "set <name>", "keep how a cluster is reached, under a name", exactly(1), func(cmd *cobra.Command, path string, args []string) error {
		name := args[0]
		if text := contexts.CheckName(name); text != "" {
			return usagef(cmd, "%s", text)
		}
		var row contextRow
		err := contexts.Change(path, func(f *contexts.File) error {
			c, err := a.flags.changed(cmd, f.Contexts[name])
			if err != nil {
				return err
			}
			f.Contexts[name] = c
			if _, is := f.Contexts[f.Current]; !is {
				f.Current = name
			}
			row = rowOf(f, name)
			return nil
		})
		if err != nil {
			return err
		}
		return a.printValue(row, &contextRow{})
	})
	cmd.Long = `Keep how a cluster is reached, under a name. What is not given stays as it was.

The flags are --addr, --tls-pin, --tls-ca, --tls or --no-tls, --admin-token-file
and --insecure. Of the token only the path is kept. The first context is the one
in use; pilotctl context use chooses another.`
	cmd.Example = "  pilotctl context set lab --addr 10.0.0.1:9000,10.0.0.2:9000 --tls-pin PIN\n  pilotctl context set lab --admin-token-file ./admin-token"
	return cmd
}

// changed is a context with what the flags say.
func (g *globalFlags) changed(cmd *cobra.Command, c contexts.Context) (contexts.Context, error) {
	given := cmd.Flags().Changed
	if given("addr") {
		c.Addrs = addresses(g.addrs)
	}
	if len(c.Addrs) == 0 {
		return c, usagef(cmd, "a context needs an address: give --addr")
	}
	for flag, to := range map[string]*string{"tls-ca": &c.TLSCA, "admin-token-file": &c.AdminTokenFile} {
		if !given(flag) {
			continue
		}
		*to = cmd.Flag(flag).Value.String()
		if *to == "" {
			continue
		}
		whole, err := filepath.Abs(*to) // commands run in other directories
		if err != nil {
			return c, err
		}
		*to = whole
	}
	switch {
	case given("tls-pin"):
		c.TLSPin, c.TLSCA, c.TLS = g.tlsPin, "", false
	case given("tls-ca"):
		c.TLSPin, c.TLS = "", false
	case given("tls"):
		c.TLSPin, c.TLSCA, c.TLS = "", "", g.tls
	case given("no-tls"):
		c.TLSPin, c.TLSCA, c.TLS = "", "", false
	}
	if given("insecure") {
		c.Insecure = g.insecure
	}
	return c, nil
}

func contextUse(a *app) *cobra.Command {
	return contextVerb(a, "use <name>", "choose the context that commands use", exactly(1), func(_ *cobra.Command, path string, args []string) error {
		var row contextRow
		err := contexts.Change(path, func(f *contexts.File) error {
			if _, is := f.Contexts[args[0]]; !is {
				return noContext(args[0])
			}
			f.Current = args[0]
			row = rowOf(f, args[0])
			return nil
		})
		if err != nil {
			return err
		}
		return a.printValue(row, &contextRow{})
	})
}

func contextList(a *app) *cobra.Command {
	cmd := contextVerb(a, "list", "list the contexts", exactly(0), func(_ *cobra.Command, path string, _ []string) error {
		f, err := contexts.Load(path)
		if err != nil {
			return err
		}
		all := contextTable{Contexts: []contextRow{}}
		for _, name := range f.Names() {
			all.Contexts = append(all.Contexts, rowOf(f, name))
		}
		return a.printValue(all, &contextTable{})
	})
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

func contextShow(a *app) *cobra.Command {
	return contextVerb(a, "show [name]", "show a context, by default the one in use", between(0, 1), func(_ *cobra.Command, path string, args []string) error {
		f, err := contexts.Load(path)
		if err != nil {
			return err
		}
		name := f.Current
		if len(args) == 1 {
			name = args[0]
		}
		if _, is := f.Contexts[name]; !is && name == "" {
			return &failure.Error{Err: fmt.Errorf("no context is in use"), Code: protocol.CodeNotFound, Exit: failure.NotFound,
				Hint: "choose one: pilotctl context use; make one: pilotctl context set"}
		} else if !is {
			return noContext(name)
		}
		return a.printValue(rowOf(f, name), &contextRow{})
	})
}

func contextDelete(a *app) *cobra.Command {
	return contextVerb(a, "delete <name>", "forget a context; the token file stays", exactly(1), func(_ *cobra.Command, path string, args []string) error {
		err := contexts.Change(path, func(f *contexts.File) error {
			if _, is := f.Contexts[args[0]]; !is {
				return noContext(args[0])
			}
			delete(f.Contexts, args[0])
			if f.Current == args[0] {
				f.Current = ""
			}
			return nil
		})
		if err != nil {
			return err
		}
		return a.printValue(struct {
			Name string `json:"name"`
		}{args[0]}, &struct {
			Name string `json:"name"`
		}{})
	})
}

// completeContexts offers the names of contexts.
func completeContexts(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const none = cobra.ShellCompDirectiveNoFileComp
	path, err := contexts.Path()
	if err != nil || len(args) > 0 {
		return nil, none
	}
	f, err := contexts.Load(path)
	if err != nil {
		return nil, none
	}
	var out []cobra.Completion
	for _, name := range f.Names() {
		out = append(out, cobra.CompletionWithDesc(name, strings.Join(f.Contexts[name].Addrs, ",")))
	}
	return out, none
}
