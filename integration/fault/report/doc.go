// SPDX-License-Identifier: Apache-2.0

// Package report draws one page per run: what was asked over time and how it
// ended, which faults were active, who led, how long writes were interrupted,
// and for every violation the history of the key that shows it.
//
// Promise: the page is one file that needs nothing else, no network and no
// script from elsewhere. It says as plainly what was not tested as what was found.
//
// Non-goals: it judges nothing. The verdict is that of package check.
package report
