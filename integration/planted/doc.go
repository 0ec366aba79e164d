// SPDX-License-Identifier: Apache-2.0

// Command planted proves that the tests can fail: it plants one bug after
// another into a copy of the source and runs what the bug's patch names, in its
// lines "Noticed-by: PACKAGE TESTS" or "Noticed-by: soak", cheapest first. Each
// of them must notice the bug, and none of them anything without it.
//
// Promise: it changes nothing in the working tree; a bug that is not noticed, a
// patch that does not apply, or a copy that does not build makes it fail. A
// soak's checkers are built without the bug.
//
// Non-goals: it does not judge how likely a bug is.
package main
