// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// fleet is a registry with one enterprise network, whose members have external ids.
type fleet struct {
	t     *rapid.T
	m     *fsm.Machine
	index uint64
	net   uint16
	ids   []string // by member; node ids are one more
}

func (f *fleet) apply(code protocol.Code, admin bool, body any) json.RawMessage {
	f.t.Helper()
	if b, names := body.(protocol.IDBody); names {
		b.EachID(func(id string, keys *protocol.IDKeys) { *keys = identity.IDKeys(id) })
	}
	raw, err := json.Marshal(body)
	if err != nil {
		f.t.Fatal(err)
	}
	env := fsm.Envelope{Code: code, Body: raw, Source: "203.0.113.9:50000"}
	if admin {
		env.Actor = fsm.Actor{Token: "initial", TokenGen: f.m.Root().Tokens(fsm.TokenAdmin)[0].Generation}
	}
	f.index++
	results, err := f.m.Apply(f.index, 1, fsm.AppendEntry(nil, &fsm.Entry{Time: 1_800_000_000_000 + int64(f.index), Term: 1, Envelopes: []fsm.Envelope{env}}))
	if err != nil {
		f.t.Fatal(err)
	}
	if e := results[0].Err; e != nil {
		f.t.Fatalf("%d: %v", code, e)
	}
	return json.RawMessage(results[0].JSON())
}

func (f *fleet) do(command string, body protocol.Body) json.RawMessage {
	f.t.Helper()
	if e := body.Validate(); e != nil {
		f.t.Fatal(e)
	}
	return f.apply(protocol.Must(command).Code, true, body)
}

func newFleet(t *rapid.T, ids []string) *fleet {
	f := &fleet{t: t, m: fsm.New(), ids: ids}
	f.apply(fsm.KindClusterInit, false, fsm.ClusterInit{ClusterID: "test", Level: fsm.LevelMax})
	f.apply(fsm.KindTermStart, false, fsm.TermStart{Term: 1, LeaderID: "m1"})
	f.apply(fsm.KindActivateKey, false, fsm.ActivateKey{Key: 1, Term: 1})
	f.apply(fsm.KindPutToken, false, fsm.PutToken{Kind: fsm.TokenAdmin, Name: "initial", MAC: protocol.MAC{Key: 1, Sum: make([]byte, 32)}})
	for i, id := range ids {
		key := protocol.PublicKey{byte(i + 1), 7, 7}
		f.do("register", &protocol.Register{PublicKey: key.String(), RegisterFacts: protocol.RegisterFacts{Endpoint: "203.0.113.9:4000"}})
		if i == 0 {
			f.do("create_network", &protocol.CreateNetwork{NodeID: 1, Name: "lab", Enterprise: true})
			f.net = 1
		} else {
			f.do("join_network", &protocol.JoinNetwork{NodeID: uint32(i + 1), NetworkID: f.net})
		}
		f.do("set_external_id", &protocol.SetExternalID{NodeID: uint32(i + 1), ExternalID: id})
	}
	return f
}

func (f *fleet) call(r *protocol.DirectorySync) *fsm.Call {
	r.EachID(func(id string, keys *protocol.IDKeys) { *keys = identity.IDKeys(id) })
	return &fsm.Call{Row: protocol.Must("directory_sync"), Body: r, Actor: fsm.Actor{Token: "initial", TokenGen: f.m.Root().Tokens(fsm.TokenAdmin)[0].Generation}}
}

// sync applies a listing as the wire brings it; gone are the members that it
// removed, nobody when it was refused.
func (f *fleet) sync(r *protocol.DirectorySync) (gone []int) {
	f.t.Helper()
	if protocol.Check(protocol.Must("directory_sync"), r) != nil {
		return nil
	}
	call := f.call(r)
	if f.m.Root().Check(call) != nil {
		return nil
	}
	raw := f.do("directory_sync", r)
	var reply directoryReply
	if err := json.Unmarshal(raw, &reply); err != nil {
		f.t.Fatal(err)
	}
	for _, who := range removed(reply.Actions, actionDisabled, actionUnlisted) {
		_, node, _ := strings.Cut(who[strings.LastIndex(who, "("):], "node ")
		var id int
		if _, err := fmt.Sscanf(node, "%d)", &id); err != nil {
			f.t.Fatalf("%q: %v", who, err)
		}
		gone = append(gone, id-1)
	}
	return gone
}

// syncByTool does it as pilotctl does, without a number.
func (f *fleet) syncByTool(l *listing) (gone []int) {
	r := l.wire(change{})
	if protocol.Check(protocol.Must("directory_sync"), r) != nil {
		return nil
	}
	plan, e := f.m.Root().Plan(f.call(r))
	if e != nil {
		return nil
	}
	raw, err := json.Marshal(plan)
	if err != nil {
		f.t.Fatal(err)
	}
	if unconfirmed(raw, &change{}) != nil {
		return nil
	}
	return f.sync(r)
}

// rows are a listing before it is written down: columns and cells.
type rows struct {
	columns []string
	cells   [][]string
}

func (r rows) column(name string) int { return slices.Index(r.columns, name) }

// written renders rows in a format.
func (r rows) written(t *rapid.T, format string) []byte {
	var out bytes.Buffer
	if comma, is := map[string]rune{"csv": ',', "semicolons": ';', "tabs": '\t'}[format]; is {
		w := csv.NewWriter(&out)
		w.Comma = comma
		if err := w.WriteAll(append([][]string{r.columns}, r.cells...)); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	var entries []map[string]string
	for _, row := range r.cells {
		e := map[string]string{}
		for i, column := range r.columns {
			if row[i] != "" {
				e[column] = row[i]
			}
		}
		entries = append(entries, e)
	}
	encoded, err := json.MarshalIndent(entries, "", " ")
	if format == "yaml" {
		encoded, err = yaml.Marshal(entries)
	}
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// exports are the columns of listings and of directories' exports, for a role,
// an id, a state and a name, with what the state of those is who are in or out.
var exports = []struct {
	columns []string
	in, out string
}{
	{[]string{"role", "external_id", "Enabled", "display_name"}, "", "False"},
	{[]string{"role", "userPrincipalName", "accountEnabled", "displayName"}, "True", "False"},
	{[]string{"role", "Email Address [Required]", "Status [READ ONLY]", "Org Unit Path [Required]"}, "Active", "Suspended"},
	{[]string{"role", "login", "status", "title"}, "LOCKED_OUT", "DEPROVISIONED"},
}

// breaks are the ways in which programs and people spoil listings, before and
// after they are written down.
var breakRows = map[string]func(t *rapid.T, r *rows){
	"renamed column": func(t *rapid.T, r *rows) {
		i := rapid.IntRange(0, len(r.columns)-1).Draw(t, "column")
		r.columns[i] = rapid.SampledFrom([]string{"externalId", "mail", "Benutzer", "rolle", "External ID", "state", "status", "login", "id", "disabled", ""}).Draw(t, "name")
	},
	"repeated rows": func(t *rapid.T, r *rows) {
		for range rapid.IntRange(1, 5).Draw(t, "times") {
			r.cells = append(r.cells, slices.Clone(rapid.SampledFrom(r.cells).Draw(t, "row")))
		}
	},
	"other case": func(t *rapid.T, r *rows) {
		r.each(rapid.SampledFrom([]func(string) string{strings.ToUpper, strings.ToLower, strings.ToTitle}).Draw(t, "case"))
	},
	"unknown words for the state": func(t *rapid.T, r *rows) {
		word := rapid.SampledFrom([]string{"on leave", "Gesperrt", "-", "2", "ACTIVE?"}).Draw(t, "word")
		for _, row := range r.cells {
			if rapid.Bool().Draw(t, "this") {
				row[2] = word
			}
		}
	},
	"no accents": func(_ *rapid.T, r *rows) {
		r.each(func(s string) string {
			return strings.Map(func(c rune) rune {
				if unicode.Is(unicode.Mn, c) {
					return -1
				}
				return c
			}, norm.NFD.String(s))
		})
	},
	"accents apart":    func(_ *rapid.T, r *rows) { r.each(norm.NFD.String) },
	"accents together": func(_ *rapid.T, r *rows) { r.each(norm.NFC.String) },
	"spaces around":    func(_ *rapid.T, r *rows) { r.each(func(s string) string { return " " + s + "\u00a0" }) },
	"question marks": func(_ *rapid.T, r *rows) {
		r.each(func(s string) string { return protocol.Lossy(norm.NFC.String(s)) })
	},
	"read as Windows-1252": func(t *rapid.T, r *rows) {
		r.each(func(s string) string {
			garbled, err := charmap.Windows1252.NewDecoder().String(norm.NFC.String(s))
			if err != nil {
				t.Fatal(err)
			}
			return garbled
		})
	},
}

func (r *rows) each(f func(string) string) {
	i := max(r.column("external_id"), r.column("userPrincipalName"), r.column("Email Address [Required]"), r.column("login"))
	for _, row := range r.cells {
		row[i] = f(row[i])
	}
}

var breakBytes = map[string]func(t *rapid.T, data []byte) []byte{
	"cut off": func(t *rapid.T, data []byte) []byte { return data[:rapid.IntRange(0, len(data)).Draw(t, "cut")] },
	"UTF-16": func(t *rapid.T, data []byte) []byte {
		var out []byte
		if rapid.Bool().Draw(t, "mark") {
			out = []byte{0xff, 0xfe}
		}
		for _, u := range utf16.Encode([]rune(string(data))) {
			out = binary.LittleEndian.AppendUint16(out, u)
		}
		return out
	},
	"Windows-1252": func(_ *rapid.T, data []byte) []byte {
		if out, err := charmap.Windows1252.NewEncoder().Bytes(norm.NFC.Bytes(data)); err == nil {
			return out
		}
		return data
	},
	"code page 850": func(_ *rapid.T, data []byte) []byte {
		if out, err := charmap.CodePage850.NewEncoder().Bytes(norm.NFC.Bytes(data)); err == nil {
			return out
		}
		return data
	},
	"lost characters": func(_ *rapid.T, data []byte) []byte {
		return []byte(strings.Map(func(c rune) rune {
			if c >= 0x80 {
				return unicode.ReplacementChar
			}
			return c
		}, string(data)))
	},
	"carriage returns": func(_ *rapid.T, data []byte) []byte { return bytes.ReplaceAll(data, []byte("\n"), []byte("\r")) },
}

// someIDs are external ids as directories have them, each once in the form that counts.
func someIDs(t *rapid.T) []string {
	names := []string{"alice", "jose", "jos\u00e9", "m\u00fcller", "mu\u0308ller-2", "\u00c9lise", "Zo\u00eb", "stra\u00dfe", "\u0141ukasz", "\u0395\u03bb\u03ad\u03bd\u03b7", "O'Brien", "bob", "1001", "100", "x@y"}
	var ids []string
	for i := range rapid.IntRange(2, 24).Draw(t, "members") {
		id := names[i%len(names)]
		if i >= len(names) {
			id = fmt.Sprintf("%s.%d", id, i)
		}
		if rapid.Bool().Draw(t, "mail") {
			id += "@example.org"
		}
		ids = append(ids, id)
	}
	return rapid.Permutation(ids).Draw(t, "order")
}

// No listing, however broken, removes a member that a correct reading of it
// would keep, unless the removal is confirmed by number. pilotctl asks for the
// number whenever somebody is not listed. The registry itself, which a cut
// between two rows cannot be seen by, removes no more than its brake allows.
func TestNoBrokenListingRemovesWhoShouldStay(t *testing.T) {
	dir, refused, taken, leavers, kept := t.TempDir(), 0, 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		ids := someIDs(t)
		leaves := map[int]bool{}
		x := rapid.SampledFrom(exports).Draw(t, "export")
		r := rows{columns: slices.Clone(x.columns)}
		for i, id := range ids {
			state := x.in
			if i > 0 && rapid.IntRange(0, 9).Draw(t, "leaves") == 0 {
				leaves[i], state = true, x.out
				if rapid.Bool().Draw(t, "unlisted") {
					continue
				}
			}
			r.cells = append(r.cells, []string{rapid.SampledFrom([]string{"", "member", "Admin"}).Draw(t, "role"), id, state, "N. N."})
		}
		format := rapid.SampledFrom([]string{"csv", "semicolons", "tabs", "json", "yaml"}).Draw(t, "format")
		how := rapid.SampledFrom(append(sortedKeys(breakRows), sortedKeys(breakBytes)...)).Draw(t, "broken")
		if f := breakRows[how]; f != nil {
			f(t, &r)
		}
		data := r.written(t, format)
		if f := breakBytes[how]; f != nil {
			data = f(t, data)
		}
		path := filepath.Join(dir, "listing")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		l, d, err := readListing(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		byTool, byWire := newFleet(t, ids), newFleet(t, ids)
		if len(d.problems) > 0 {
			refused++
		} else {
			taken++
			l.NetworkID, l.RemoveUnlisted = byTool.net, true
			for _, m := range byTool.syncByTool(l) {
				if !leaves[m] {
					t.Fatalf("pilotctl removed %q (%s, %s):\n%s", ids[m], how, format, data)
				}
				leavers++
			}
		}
		stay := 0
		for _, m := range byWire.sync(overTheWire(t, l, len(d.problems) == 0, data, byWire.net)) {
			if !leaves[m] {
				stay++
			}
		}
		kept += stay
		if stay > 0 && how != "cut off" || stay > max(len(ids)/5, min(2, len(ids)/2)) {
			t.Fatalf("the registry removed %d who should stay (%s, %s):\n%s", stay, how, format, data)
		}
	})
	t.Logf("%d listings refused, %d taken, %d leavers removed; %d members lost to listings cut between two rows, within the brake", refused, taken, leavers, kept)
	if refused == 0 || taken == 0 || leavers == 0 {
		t.Error("the test tests nothing")
	}
}

// overTheWire is a request as a program makes it that reads the file, or sends
// it as it is when it is JSON.
func overTheWire(t *rapid.T, l *listing, readable bool, data []byte, net uint16) *protocol.DirectorySync {
	if json.Valid(data) {
		req, err := protocol.ParseRequest(fmt.Appendf(nil, `{"type":"directory_sync","network_id":%d,"remove_unlisted":true,"entries":%s}`, net, data))
		if err != nil || req.Unread != nil {
			return &protocol.DirectorySync{}
		}
		return req.Body.(*protocol.DirectorySync)
	}
	if !readable {
		return &protocol.DirectorySync{}
	}
	l.NetworkID, l.RemoveUnlisted = net, true
	return l.wire(change{})
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
