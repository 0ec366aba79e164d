// SPDX-License-Identifier: Apache-2.0

//go:build !nextver

package protocol

// LookupNext are the fields of a lookup reply that only the synthetic next
// version has (build tag nextver), with which upgrades are tested.
type LookupNext struct{}
