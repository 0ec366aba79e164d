// SPDX-License-Identifier: Apache-2.0

// Package backup saves the state on a schedule.
//
// Promise: while a member leads, its backup directory gets a backup every
// interval, whole or not at all, and keeps the newest ones. The clock of the
// schedule is the age of the newest file, so a new leader continues it when
// the members share the directory, and begins its own otherwise.
//
// Non-goals: it does not encrypt (it is handed what does), does not copy
// files to another machine, and restores nothing.
package backup
