// SPDX-License-Identifier: Apache-2.0

// Package keyring holds the cluster's secret keys: versioned pairs of an AEAD
// key, for secrets that must be read back, and an HMAC key, for credentials
// that only have to be recognised. It also keeps the cluster's self-signed
// wire certificate, so that every member presents the same leaf and clients
// can pin it.
//
// Promise: keys live in one file of mode 0600 and in memory, and leave the
// process only through [Keyring.Export], which the mutually authenticated
// join uses. Nothing of it reaches the replicated log, a snapshot or a backup.
//
// Non-goals: it decides nothing about rotation; which version is the active
// one is replicated state.
package keyring
