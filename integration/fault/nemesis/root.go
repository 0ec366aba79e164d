//go:build linux

package nemesis

// rootKinds need privileges.
var rootKinds = []*Kind{}
