// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// text is a record that is a string.
type text string

func (t text) AppendTo(dst []byte, level uint32) []byte {
	return AppendUvarint(AppendString(dst, string(t)), uint64(level))
}

func readText(d *Decoder, level uint32) text {
	t := text(d.Text())
	if d.Uvarint32() != level {
		d.Fail()
	}
	return t
}

var (
	treeSchema  = Schema[uint32, text]{Kind: 7, AppendKey: AppendKey32, ReadKey: ReadKey32, Read: readText}
	denseSchema = Schema[uint32, text]{Kind: 7, AppendKey: AppendKey32, ReadKey: ReadKey32, Read: readText, Map: Dense[text]}
)

// fixture is a table with its writer.
type fixture struct {
	Table[uint32, text]
	w     Writer
	level uint32
}

func open(s *Schema[uint32, text]) *fixture {
	f := &fixture{Table: New(s), level: 1}
	f.w = NewWriter(&f.level)
	f.w.Open(&f.Table, 3)
	return f
}

func (f *fixture) publish() *Table[uint32, text] {
	pub := &Table[uint32, text]{}
	HandOver(&f.Table, pub)
	return pub
}

// fromScratch is the digest over the records that a table holds.
func (f *fixture) fromScratch(t *testing.T) (d Digest) {
	t.Helper()
	if err := f.Each(f.level, func(record []byte) error {
		sum := sha256.Sum256(record)
		d.Add(&sum)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return d
}

// Trees and dense maps behave as a map does, in the order of keys, and what
// was published stays as it was.
func TestTablesAreMaps(t *testing.T) {
	for name, s := range map[string]*Schema[uint32, text]{"tree": &treeSchema, "dense": &denseSchema} {
		t.Run(name, func(t *testing.T) {
			f, model := open(s), map[uint32]text{}
			random := rand.New(rand.NewPCG(1, 2))
			type published struct {
				table *Table[uint32, text]
				model map[uint32]text
			}
			var roots []published
			for i := range 5000 {
				k := random.Uint32N(3 * tileIDs)
				if random.IntN(3) > 0 {
					v := text(fmt.Sprint("v", i))
					old, had := f.Put(&f.w, k, v)
					if was, held := model[k]; old != was || had != held {
						t.Fatalf("put %d: %q %v, want %q %v", k, old, had, was, held)
					}
					model[k] = v
				} else {
					old, had := f.Drop(&f.w, k)
					if was, held := model[k]; old != was || had != held {
						t.Fatalf("drop %d: %q %v, want %q %v", k, old, had, was, held)
					}
					delete(model, k)
				}
				if i%500 == 0 {
					roots = append(roots, published{f.publish(), maps.Clone(model)})
				}
			}
			sameAs(t, &f.Table, model)
			for _, r := range roots {
				sameAs(t, r.table, r.model)
			}
			if f.w.Digest != f.fromScratch(t) {
				t.Error("the digest is not the sum over the records")
			}
			for k := range model {
				f.Drop(&f.w, k)
			}
			if f.w.Digest != (Digest{}) || f.Len() != 0 {
				t.Error("a digest is left of an empty table")
			}
		})
	}
}

func sameAs(t *testing.T, tab *Table[uint32, text], model map[uint32]text) {
	t.Helper()
	keys := slices.Sorted(maps.Keys(model))
	var got []uint32
	tab.Scan(func(k uint32, v text) bool {
		if v != model[k] || !tab.Holds(k) {
			t.Errorf("%d is %q, want %q", k, v, model[k])
		}
		got = append(got, k)
		return true
	})
	if !slices.Equal(got, keys) || tab.Len() != len(keys) {
		t.Errorf("%d keys in scan, %d in the table, want %d", len(got), tab.Len(), len(keys))
	}
	middle := keys[len(keys)/2]
	got = nil
	tab.Ascend(middle, func(k uint32, _ text) bool {
		got = append(got, k)
		return true
	})
	if !slices.Equal(got, keys[len(keys)/2:]) {
		t.Error("Ascend visits others")
	}
	if k, _, ok := tab.First(); !ok || k != keys[0] {
		t.Errorf("the first is %d, want %d", k, keys[0])
	}
}

// Windows of a dense table visit every record once.
func TestWindows(t *testing.T) {
	f := open(&denseSchema)
	for _, k := range []uint32{1, 2, 63, 64, 5000, tileIDs, 3 * tileIDs} {
		f.Put(&f.w, k, "x")
	}
	var got []uint32
	for from := uint32(0); ; {
		from = f.Window(from, 100, func(k uint32, _ text) bool {
			got = append(got, k)
			return true
		})
		if from == 0 {
			break
		}
	}
	if !slices.Equal(got, []uint32{1, 2, 63, 64, 5000, tileIDs, 3 * tileIDs}) {
		t.Errorf("visited %v", got)
	}
}

// A part is named once however often it changes, and again after it was
// handed over.
func TestChangedPartsAreNamedOnce(t *testing.T) {
	level := uint32(1)
	w := NewWriter(&level)
	records, ix, v := New(&treeSchema), Index[string, int]{}, Value[int]{}
	for i, p := range []Part{&records, &ix, &v} {
		w.Open(p, Slot(i))
	}
	var pubRecords Table[uint32, text]
	var pubIndex Index[string, int]
	var pubValue Value[int]
	take := func(want ...Slot) {
		t.Helper()
		got := w.TakeChanged()
		if !slices.Equal(got, want) {
			t.Errorf("changed: %v, want %v", got, want)
		}
		for _, s := range got {
			HandOver([]Part{&records, &ix, &v}[s], []Part{&pubRecords, &pubIndex, &pubValue}[s])
		}
	}
	take(0, 1, 2)
	take()
	ix.Put(&w, "a", 1)
	ix.Put(&w, "b", 2)
	v.Set(&w, 5)
	take(1, 2)
	ix.Drop(&w, "none")
	records.Drop(&w, 9)
	take()
	ix.Drop(&w, "a")
	take(1)
	if pubIndex.Len() != 1 || !pubIndex.Holds("b") || pubValue.Get() != 5 || pubRecords.Len() != 0 {
		t.Error("what was published is not what was written")
	}
	if k, n, ok := pubIndex.First(); k != "b" || n != 2 || !ok {
		t.Error("First finds another entry")
	}
}

func TestRedigest(t *testing.T) {
	f := open(&treeSchema)
	f.Put(&f.w, 1, "a")
	f.Put(&f.w, 2, "b")
	other := sha256.Sum256([]byte("other"))
	f.w.Digest.Add(&other)
	before := f.w.Digest
	f.w.Redigest([]Stored{&f.Table}, &other)
	if f.w.Digest != before {
		t.Error("computed from scratch the digest is another")
	}
	f.level = 2
	f.w.Redigest([]Stored{&f.Table}, &other)
	want := f.fromScratch(t)
	want.Add(&other)
	if f.w.Digest == before || f.w.Digest != want {
		t.Error("the digest is not that of the new level")
	}
}

// What Each emits is what Decode reads, and nothing else decodes.
func TestDecode(t *testing.T) {
	f := open(&treeSchema)
	f.Put(&f.w, 1, "a")
	f.Put(&f.w, 70000, "bb")
	_ = f.Each(1, func(record []byte) error {
		record = bytes.Clone(record)
		if record[0] != 7 {
			t.Errorf("the kind is %d", record[0])
		}
		k, v, ok := f.Decode(NewDecoder(record[1:]), 1)
		if held, _ := f.Get(k); !ok || held != v {
			t.Errorf("%x became %d %q", record, k, v)
		}
		for n := 1; n < len(record); n++ {
			if _, _, ok := f.Decode(NewDecoder(record[1:n]), 1); ok {
				t.Errorf("%x decodes without its end", record)
			}
		}
		if _, _, ok := f.Decode(NewDecoder(append(record[1:], 0)), 1); ok {
			t.Error("trailing bytes are ignored")
		}
		return nil
	})
	stop := fmt.Errorf("stop")
	if err := f.Each(1, func([]byte) error { return stop }); err != stop {
		t.Errorf("Each returned %v", err)
	}
}

func TestDigestIsASum(t *testing.T) {
	one, all := [32]byte{31: 1}, [32]byte{}
	for i := range all {
		all[i] = 0xff
	}
	var d Digest
	d.Add(&all)
	d.Add(&one)
	if d != (Digest{}) {
		t.Errorf("2^256-1 plus 1 is %v", d)
	}
	d.Sub(&one)
	if d.Bytes() != all {
		t.Errorf("0 minus 1 is %x", d.Bytes())
	}
}
