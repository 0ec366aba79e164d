// SPDX-License-Identifier: Apache-2.0

//go:build linux && !amd64

package lab

import (
	"errors"
	"os/exec"
	"time"
)

// NoWallClocks says why wall clocks cannot be moved from outside.
func NoWallClocks() string { return "needs an amd64 machine" }

func startWithClock(*exec.Cmd) (uint64, error) { return 0, errors.New(NoWallClocks()) }

// MoveWallClock moves a running member's wall clock.
func (l *Lab) MoveWallClock(*Member, time.Duration) error { return errors.New(NoWallClocks()) }
