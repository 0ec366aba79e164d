// SPDX-License-Identifier: Apache-2.0

package client

// DropConns closes the connections that rest.
func (c *Client) DropConns() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.all {
		conn.nc.Close()
	}
}
