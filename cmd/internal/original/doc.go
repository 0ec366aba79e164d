// SPDX-License-Identifier: Apache-2.0

// Package original reads and writes the store file of the original
// single-node registry, in which that keeps everything it knows. Reading it
// reports, by object and with the reason, whatever cannot be taken as it is.
package original
