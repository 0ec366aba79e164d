// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// explained is what the table of commands says of a wire command.
type explained struct {
	Command    string         `json:"command"`
	Does       string         `json:"does"`
	Verbs      []string       `json:"verbs"`
	Auth       string         `json:"authorised_by"`
	Roles      []string       `json:"roles,omitempty"`
	Enterprise bool           `json:"enterprise,omitempty"`
	Mode       string         `json:"mode"`
	Rate       string         `json:"rate,omitempty"`
	Challenge  string         `json:"signed_text,omitempty"`
	Level      uint32         `json:"feature_level"`
	Events     []string       `json:"events,omitempty"`
	Request    []explainField `json:"request"`
	Reply      []explainField `json:"reply"`
}

type explainField struct {
	Field    string `json:"field"`
	Type     string `json:"kind"`
	Optional bool   `json:"optional"`
}

// explainCommand tells all that the table of commands has of one.
func explainCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "explain <command>", Short: "explain a command of the wire protocol, or a verb", Args: atLeast(1),
		Long: "Explain a command of the wire protocol, or what a verb sends: who may do it, what it takes and answers.\n\n" +
			"It asks no member.",
		Example: "  pilotctl explain create_network\n  pilotctl explain network create -o yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.checkOutput(cmd); err != nil {
				return err
			}
			row, err := meant(cmd, args)
			if err != nil {
				return err
			}
			return a.printValue(explain(cmd.Root(), row), &explained{})
		}}
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var all []cobra.Completion
		for i := range protocol.Commands {
			all = append(all, cobra.CompletionWithDesc(protocol.Commands[i].Name, protocol.Commands[i].Doc))
		}
		if len(args) > 0 {
			all = nil
		}
		return all, cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// meant is the wire command that a name or a verb stands for.
func meant(cmd *cobra.Command, args []string) (*protocol.Command, error) {
	if row := protocol.ByName(args[0]); row != nil && len(args) == 1 {
		return row, nil
	}
	if verb, rest, err := cmd.Root().Find(args); err == nil && len(rest) == 0 {
		if row := protocol.ByName(wireOf(verb)); row != nil {
			return row, nil
		}
	}
	var names []string
	for i := range protocol.Commands {
		names = append(names, protocol.Commands[i].Name)
	}
	text := strings.Join(args, " ")
	err := fmt.Errorf("%q is no command of the wire protocol, nor a verb that sends one", text)
	if near := protocol.Nearest(strings.ReplaceAll(text, " ", "_"), names); near != "" {
		err = fmt.Errorf("%w; did you mean %s?", err, near)
	}
	return nil, &failure.Error{Err: err, Code: protocol.CodeNotFound, Exit: failure.NotFound, Hint: "see all of them: pilotctl commands"}
}

func explain(root *cobra.Command, row *protocol.Command) explained {
	e := explained{Command: row.Name, Does: row.Doc, Verbs: []string{}, Auth: string(row.Auth), Roles: row.Roles, Enterprise: row.Enterprise,
		Mode: string(row.Mode), Rate: string(row.Rate), Challenge: row.Challenge, Level: row.Level(), Events: row.Events}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.Runnable() && wireOf(cmd) == row.Name {
			e.Verbs = append(e.Verbs, cmd.CommandPath())
		}
	}
	walk(root)
	e.Request = fieldsOf(reflect.TypeOf(row.New()))
	e.Reply = fieldsOf(reflect.TypeOf(row.NewReply()))
	return e
}

// fieldsOf are the fields that travel.
func fieldsOf(t reflect.Type) []explainField {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	out := []explainField{}
	if t.Kind() != reflect.Struct {
		return out
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if secret := f.Tag.Get("wire"); secret != "" { // kept out of everything but requests
			name = secret
			opts = "omit"
		}
		switch {
		case name == "-" || !f.IsExported():
		case f.Anonymous && name == "":
			if !strings.HasSuffix(f.Type.Name(), "Facts") && f.Type.Name() != "DoorProblem" { // what a member adds
				out = append(out, fieldsOf(f.Type)...)
			}
		case name != "" && name != "type":
			out = append(out, explainField{Field: name, Type: kindName(f.Type), Optional: strings.Contains(opts, "omit")})
		}
	}
	return out
}

// kindName is what a type is called in JSON.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return kindName(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		if t == reflect.TypeFor[protocol.Secret]() {
			return "secret text"
		}
		return "text"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "JSON"
		}
		return "list of " + kindName(t.Elem())
	case reflect.Map, reflect.Struct:
		return "object"
	case reflect.Interface:
		return "any value"
	}
	return "number"
}
