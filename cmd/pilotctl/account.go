// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func badgeCommand(a *app) *cobra.Command {
	submit := wireCommand(a, "submit <badge> <signature>", "submit_badge", exactly(2), func(s *session, args []string) (protocol.Body, error) {
		id, err := s.node()
		return &protocol.SubmitBadge{NodeID: id, Badge: args[0], BadgeSig: args[1]}, err
	})
	submit.Long += "\n\nBoth come from a verifier of accounts. lookup shows the badge then."
	submit.Example = "  pilotctl badge submit pilotbadge:v1:7:github:1786000000:0:bdg-v1:octo BASE64"
	return groupCommand("badge", "attach the badge of a verified account to a node", submit)
}

func recoveryCommand(a *app) *cobra.Command {
	enroll := wireCommand(a, "enroll <enrollment> <signature>", "enroll_recovery", exactly(2), func(s *session, args []string) (protocol.Body, error) {
		id, err := s.node()
		return &protocol.EnrollRecovery{NodeID: id, Enrollment: args[0], EnrollmentSig: args[1]}, err
	})
	enroll.Long += "\n\nBoth come from a verifier of accounts. An earlier enrolment is replaced, which the\naudit log says."
	enroll.Example = "  pilotctl recovery enroll pilotenroll:v1:7:github:c0ffee:1786000000:bdg-v1 SIG"
	recoverIt := wireCommand(a, "recover <node> <recovery> <signature> <new-public-key>", "recover_identity", exactly(4), func(s *session, args []string) (protocol.Body, error) {
		id, err := s.nodeArg(args[0])
		return &protocol.RecoverIdentity{NodeID: id, Recovery: args[1], RecoverySig: args[2], NewPublicKey: args[3]}, err
	})
	recoverIt.Long += "\n\nRecovery and signature come from a verifier of accounts and name the new key. The former\nkey no longer counts, and a new badge is needed. Networks, roles and trust stay."
	recoverIt.Example = "  pilotctl recovery recover 7 \\\n      pilotrecover:v1:7:KEY:c0ffee:1786000900:8f3a:rec-v1 SIGNATURE KEY"
	return groupCommand("recovery", "have another key for a node whose key is lost", enroll, recoverIt)
}
