// SPDX-License-Identifier: Apache-2.0

//go:build nextver

package gateway

func init() { resolvers["set_motto"] = resolver{} }
