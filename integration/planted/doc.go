// Command planted proves that the tests can fail: it plants one bug after
// another into a copy of the source and runs the tests, cheapest first, until
// one of them notices.
//
// Promise: it changes nothing in the working tree; a bug that no test notices,
// a patch that does not apply, or a copy that does not build makes it fail.
//
// Non-goals: it does not judge how likely a bug is.
package main
