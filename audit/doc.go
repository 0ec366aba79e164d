// SPDX-License-Identifier: Apache-2.0

// Package audit renders what happened. The events themselves are part of the
// replicated state; this package is where they take the forms that people and
// other systems read.
//
// Promise: rendering never changes an event, and what a client supplied
// cannot break out of the field it stands in.
//
// Non-goals: it keeps no events and decides nothing about their retention.
package audit
