// SPDX-License-Identifier: Apache-2.0

package gateway_test

// counting are metrics of which a test wants some.
type counting struct {
	role, verified, legacy func(string)
	identity               func()
	node                   func(uint32)
	signature              func(bool)
}

func (c counting) UnsignedRole(command string) { call(c.role, command) }
func (c counting) Verified(result string)      { call(c.verified, result) }
func (c counting) Legacy(command string)       { call(c.legacy, command) }
func (c counting) LegacyNode(node uint32)      { call(c.node, node) }
func (c counting) Signature(valid bool)        { call(c.signature, valid) }
func (c counting) UnsignedIdentity() {
	if c.identity != nil {
		c.identity()
	}
}

func call[T any](f func(T), v T) {
	if f != nil {
		f(v)
	}
}
