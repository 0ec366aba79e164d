// SPDX-License-Identifier: Apache-2.0

//go:build race

package gateway_test

// raceDetector says that sync.Pool drops what it is given at random.
const raceDetector = true
