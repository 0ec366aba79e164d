// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/fsm/internal/table"

// clusterStore holds the members of the cluster, its secrets and settings.
type clusterStore struct {
	members  table.Table[string, *clusterMember]
	tokens   table.Table[string, *token]
	sealed   table.Table[string, *sealed]
	settings table.Table[uint16, *settings]
	jwks     table.Table[string, *jwks]
}

var tokenTable = declaration[string, *token]{
	schema: table.Schema[string, *token]{Kind: kindToken, AppendKey: table.AppendKeyString, ReadKey: readTokenKey, Read: readToken},
	in:     func(v *view) *table.Table[string, *token] { return &v.cluster.tokens },
	fits: func(_ *txn, k string, t *token) bool {
		t.Kind, t.Name = TokenKind(k[0]), k[1:]
		return true
	},
}

var sealedTable = declaration[string, *sealed]{
	schema: table.Schema[string, *sealed]{Kind: kindSealed, AppendKey: table.AppendKeyString, ReadKey: table.ReadKeyString, Read: readSealed},
	in:     func(v *view) *table.Table[string, *sealed] { return &v.cluster.sealed },
}

var clusterMemberTable = declaration[string, *clusterMember]{
	schema: table.Schema[string, *clusterMember]{Kind: kindClusterMember, AppendKey: table.AppendKeyString, ReadKey: table.ReadKeyString, Read: readClusterMember},
	in:     func(v *view) *table.Table[string, *clusterMember] { return &v.cluster.members },
	fits: func(_ *txn, id string, m *clusterMember) bool {
		m.ID = id
		return true
	},
}

var settingsTable = declaration[uint16, *settings]{
	schema: table.Schema[uint16, *settings]{Kind: kindSettings, AppendKey: table.AppendKey16, ReadKey: (*table.Decoder).Key16, Read: readSettings},
	in:     func(v *view) *table.Table[uint16, *settings] { return &v.cluster.settings },
}

// Keys are kept under the URL that was configured when they were fetched.
var jwksTable = declaration[string, *jwks]{
	schema: table.Schema[string, *jwks]{Kind: kindJWKS, AppendKey: table.AppendKeyString, ReadKey: table.ReadKeyString, Read: readJWKS},
	in:     func(v *view) *table.Table[string, *jwks] { return &v.cluster.jwks },
}

func putClusterMember(x *txn, id string, m *clusterMember) { clusterMemberTable.put(x, id, m) }

func dropClusterMember(x *txn, id string) { clusterMemberTable.drop(x, id) }

func putToken(x *txn, key string, t *token) { tokenTable.put(x, key, t) }

func dropToken(x *txn, key string) { tokenTable.drop(x, key) }

func putSealed(x *txn, name string, s *sealed) { sealedTable.put(x, name, s) }

func putSettings(x *txn, s *settings) { settingsTable.put(x, 0, s) }

func putJWKS(x *txn, url string, j *jwks) { jwksTable.put(x, url, j) }

func dropJWKS(x *txn, url string) { jwksTable.drop(x, url) }
