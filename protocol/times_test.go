// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"fmt"
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	for _, s := range []string{
		"2027-01-31T10:00:00Z", "2024-02-29T23:59:59.999999999Z", "2000-02-29T00:00:00+05:30", "0001-01-01T00:00:00-00:00",
		"9999-12-31T23:59:59-23:59", "2027-06-15T12:00:00.5+02:00", "1999-12-31T23:59:59.123456Z",
	} {
		want, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := ParseTime(s)
		if !ok || !got.Equal(want) || got.Format(time.RFC3339Nano) != want.Format(time.RFC3339Nano) {
			t.Errorf("%s: got %v, %t, want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{
		"", "never", "2027-01-31", "2027-01-31T10:00:00", "2027-01-31t10:00:00z", "2027-01-31 10:00:00Z", "2027-1-31T10:00:00Z", "2027-01-31T1:00:00Z",
		"2027-02-29T10:00:00Z", "1900-02-29T10:00:00Z", "2027-00-10T10:00:00Z", "2027-13-10T10:00:00Z", "2027-01-00T10:00:00Z", "2027-04-31T10:00:00Z",
		"2027-01-31T24:00:00Z", "2027-01-31T10:60:00Z", "2027-01-31T10:00:60Z", "2027-01-31T10:00:00,5Z", "2027-01-31T10:00:00.Z", "2027-01-31T10:00:00+24:00",
		"2027-01-31T10:00:00+02:60", "2027-01-31T10:00:00+0200", "2027-01-31T10:00:00Z ", "+027-01-31T10:00:00Z", "２027-01-31T10:00:00Z",
	} {
		if got, ok := ParseTime(s); ok {
			t.Errorf("%q was read as %v", s, got)
		}
	}
	for day := range 366 * 5 {
		at := time.Date(2023, 1, 1, 1, 2, 3, 0, time.UTC).AddDate(0, 0, day)
		if got, ok := ParseTime(at.Format(time.RFC3339)); !ok || !got.Equal(at) {
			t.Fatal(fmt.Sprint(at, got, ok))
		}
	}
}
