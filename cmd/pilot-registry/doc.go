// SPDX-License-Identifier: Apache-2.0

// Command pilot-registry is a member of a Pilot registry cluster, and the
// operator's tool for the member on this machine.
//
// It is the composition root: the only program that knows every package.
package main
