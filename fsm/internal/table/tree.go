// SPDX-License-Identifier: Apache-2.0

package table

import "github.com/tidwall/btree"

// treeDegree is the fan-out of the trees. A change copies one path of nodes
// of at most 2*treeDegree-1 items.
const treeDegree = 16

type tree[K Key, V any] struct{ *btree.Map[K, V] }

func newTree[K Key, V any]() Map[K, V] { return tree[K, V]{btree.NewMap[K, V](treeDegree)} }

// publish copies the writer's tree. Only a tree that is written to may be
// copied: copying changes the generation of both.
func (t tree[K, V]) publish() Map[K, V] { return tree[K, V]{t.Copy()} }
