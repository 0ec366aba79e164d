// SPDX-License-Identifier: Apache-2.0

//go:build !nextver

package main

import "github.com/spf13/cobra"

// nextVerbs are the verbs of nodes that only the synthetic next version has
// (build tag nextver), with which programs of two versions are tried together.
func nextVerbs(*app) []*cobra.Command { return nil }
