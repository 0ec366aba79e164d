// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// decode makes the bytes of a file text in UTF-8 with line feeds. It takes
// UTF-8 and UTF-16, with or without a byte order mark. Bytes that are neither
// are refused, with the line: read as something else, they would be other
// people's names.
func (d *document) decode(data []byte) (text []byte, ok bool) {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		data = data[3:]
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		data = fromUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		data = fromUTF16(data[2:], binary.BigEndian)
	case looksUTF16(data, 1):
		data = fromUTF16(data, binary.LittleEndian)
	case looksUTF16(data, 0):
		data = fromUTF16(data, binary.BigEndian)
	}
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) { // xlsx, ods, numbers
		d.bad(lineOf(data, 0), "", `this is a workbook or another archive, not text: save the sheet as "CSV UTF-8"`)
		return nil, false
	}
	if at := invalidUTF8(data); at >= 0 {
		d.bad(lineOf(data, at), "", `not UTF-8 (%s): save it as "CSV UTF-8", or as UTF-8 text`, likelyEncoding(data))
		return nil, false
	}
	if at := bytes.IndexByte(data, 0); at >= 0 {
		d.bad(lineOf(data, at), "", "holds a NUL byte: this is not text")
		return nil, false
	}
	if at := bytes.Index(data, []byte("\ufffd")); at >= 0 {
		d.bad(lineOf(data, at), "", "holds U+FFFD, which stands for a character that was lost on the way: export it again as UTF-8")
		return nil, false
	}
	if !bytes.Contains(data, []byte("\n")) { // lines of an old Macintosh
		data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	}
	return data, true
}

// looksUTF16 reports whether every second byte of the beginning, from an
// offset on, is 0: ASCII in UTF-16 without a mark.
func looksUTF16(data []byte, zero int) bool {
	n := min(len(data), 64) &^ 1
	for i := 0; i < n; i += 2 {
		if data[i+zero] != 0 || data[i+1-zero] == 0 {
			return false
		}
	}
	return n >= 4
}

func fromUTF16(data []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	if len(data)%2 == 1 {
		units = append(units, 0xfffd) // half a character
	}
	return []byte(string(utf16.Decode(units)))
}

// invalidUTF8 is where the first byte is that is not UTF-8, -1 for nowhere.
func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

func lineOf(data []byte, at int) *yaml.Node {
	return &yaml.Node{Line: 1 + bytes.Count(data[:at], []byte("\n"))}
}

// likelyEncoding guesses what bytes are that are not UTF-8: letters with
// accents are above 0xc0 in Windows-1252 and below 0xa0 in older code pages.
func likelyEncoding(data []byte) string {
	low, high := 0, 0
	for _, b := range data {
		switch {
		case b >= 0x80 && b < 0xa0:
			low++
		case b >= 0xc0:
			high++
		}
	}
	if low > high {
		return "looks like a code page of DOS or of an old Macintosh"
	}
	return "looks like Windows-1252"
}
