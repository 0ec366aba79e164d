// SPDX-License-Identifier: Apache-2.0

package protocol

import "time"

// ParseTime reads a time as RFC 3339 has it, exactly: 2027-01-31T10:00:00Z,
// with an optional fraction and Z or a numeric offset. It is used where every
// member has to decide alike, whichever version of Go it was built with; the
// standard library's parser has been lenient in ways that changed.
func ParseTime(s string) (time.Time, bool) {
	p := timeParser{rest: s, ok: true}
	year, month, day := p.number(4), p.after('-', 2), p.after('-', 2)
	p.expect('T')
	hour, minute, second := p.number(2), p.after(':', 2), p.after(':', 2)
	nanos := p.fraction()
	offset := p.offset()
	if !p.ok || p.rest != "" || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	zone := time.UTC
	if offset != 0 {
		zone = time.FixedZone("", offset*60)
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, nanos, zone), true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

type timeParser struct {
	rest string
	ok   bool
}

// number reads exactly n digits.
func (p *timeParser) number(n int) (v int) {
	if len(p.rest) < n {
		p.ok = false
		return 0
	}
	for i := range n {
		c := p.rest[i]
		p.ok = p.ok && c >= '0' && c <= '9'
		v = v*10 + int(c-'0')
	}
	p.rest = p.rest[n:]
	return v
}

func (p *timeParser) expect(c byte) {
	if p.ok = p.ok && p.rest != "" && p.rest[0] == c; p.ok {
		p.rest = p.rest[1:]
	}
}

func (p *timeParser) after(c byte, n int) int {
	p.expect(c)
	return p.number(n)
}

// fraction reads the fraction of a second in nanoseconds; digits beyond them
// are left out.
func (p *timeParser) fraction() (nanos int) {
	if p.rest == "" || p.rest[0] != '.' {
		return 0
	}
	p.rest = p.rest[1:]
	n := 0
	for unit := 100_000_000; n < len(p.rest) && p.rest[n] >= '0' && p.rest[n] <= '9'; n++ {
		nanos += int(p.rest[n]-'0') * unit
		unit /= 10
	}
	p.ok = p.ok && n > 0
	p.rest = p.rest[n:]
	return nanos
}

// offset reads the offset from UTC in minutes.
func (p *timeParser) offset() int {
	sign := 1
	switch {
	case p.rest == "":
		p.ok = false
		return 0
	case p.rest[0] == 'Z':
		p.rest = p.rest[1:]
		return 0
	case p.rest[0] == '-':
		sign = -1
	case p.rest[0] != '+':
		p.ok = false
		return 0
	}
	p.rest = p.rest[1:]
	hour, minute := p.number(2), p.after(':', 2)
	p.ok = p.ok && hour <= 23 && minute <= 59
	return sign * (hour*60 + minute)
}
