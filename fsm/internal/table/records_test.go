// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// stream writes records of which some are larger than a chunk.
func stream(t *testing.T) (records [][]byte, data []byte, sum []byte) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 40 {
		r := make([]byte, 1+i*i*200)
		for j := range r {
			r[j] = byte(random.Uint32())
		}
		records = append(records, r)
	}
	var out bytes.Buffer
	count, sum, err := WriteRecords(&out, func(emit func([]byte) error) error {
		for _, r := range records {
			if err := emit(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || count != uint64(len(records)) {
		t.Fatal(count, err)
	}
	return records, out.Bytes(), sum
}

func TestRecordsComeBack(t *testing.T) {
	records, data, sum := stream(t)
	in := bytes.NewReader(append(slices.Clone(data), "what follows"...))
	var got [][]byte
	count, read, err := ReadRecords(in, func(r []byte, before uint64) error {
		if before != uint64(len(got)) {
			t.Errorf("record %d comes after %d", len(got), before)
		}
		got = append(got, bytes.Clone(r))
		return nil
	})
	if err != nil || count != uint64(len(records)) || !bytes.Equal(read, sum) || !slices.EqualFunc(got, records, bytes.Equal) {
		t.Errorf("%d records, %v", count, err)
	}
	if in.Len() != len("what follows") {
		t.Errorf("%d bytes are left after the end mark", in.Len())
	}
}

func TestDamagedRecords(t *testing.T) {
	_, data, _ := stream(t)
	take := func([]byte, uint64) error { return nil }
	for _, n := range []int{0, 3, 4, 1000, len(data) - 4, len(data) - 1} {
		if _, _, err := ReadRecords(bytes.NewReader(data[:n]), take); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
	long := append([]byte{0, 2, 0, 0}, data[4:]...)
	if _, _, err := ReadRecords(bytes.NewReader(long), take); !errors.Is(err, ErrDamaged) {
		t.Errorf("a chunk is too long: %v", err)
	}
	stop := fmt.Errorf("stop")
	if _, _, err := ReadRecords(bytes.NewReader(data), func([]byte, uint64) error { return stop }); err != stop {
		t.Errorf("add failed: %v", err)
	}
}

func TestRecordTooLarge(t *testing.T) {
	_, _, err := WriteRecords(&bytes.Buffer{}, func(emit func([]byte) error) error { return emit(make([]byte, maxRecord+1)) })
	if err == nil {
		t.Error("a record is written that no reader takes")
	}
}
