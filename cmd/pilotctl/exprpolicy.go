// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/spf13/cobra"
)

func exprPolicyCommand(a *app) *cobra.Command {
	get := wireCommand(a, "get <network>", "get_expr_policy", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		network, err := s.networkArg(args[0])
		return &protocol.NetworkRequest{NetworkID: network}, err
	})
	get.Example = "  pilotctl policy expr get 1 -o yaml"
	set := roleCommand(a, "set <network> <file>", "set_expr_policy", exactly(2), func(_ *session, r *roleRequest) (protocol.Body, error) {
		data, err := readDocument(r.args[1])
		if err != nil {
			return nil, err
		}
		text := strings.TrimSpace(string(data))
		if _, e := protocol.ParseExprPolicy(text); e != nil {
			return nil, e
		}
		return &protocol.SetExprPolicy{NodeID: r.actor, NetworkID: r.network, ExprPolicy: &text}, nil
	}, nil)
	set.Long += "\n\nThe file is the JSON document that daemons evaluate; - reads standard input. Daemons\nthat run a policy already load another one only when they restart."
	set.Example = "  pilotctl policy expr set 1 policy.json"
	set.ValidArgsFunction = a.networkThenFile
	clearIt := roleCommand(a, "clear <network>", "set_expr_policy", exactly(1), func(_ *session, r *roleRequest) (protocol.Body, error) {
		return &protocol.SetExprPolicy{NodeID: r.actor, NetworkID: r.network, ExprPolicy: new(string)}, nil
	}, nil)
	clearIt.Short = "take a network's expression policy away"
	clearIt.Example = "  pilotctl policy expr clear 1"
	return groupCommand("expr", "show and set the expression policies of networks", get, set, clearIt)
}
