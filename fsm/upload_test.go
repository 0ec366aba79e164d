// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func partOf(r *protocol.DirectorySync, id string, part, parts uint32) *protocol.DirectorySync {
	p := *r
	p.UploadID, p.Part, p.Parts = id, part, parts
	return &p
}

func (w *world) stagedLeft() (records int, bytes int64) {
	return w.m.Root().uploads.records.Len(), w.m.Root().uploads.bytes.Get()
}

// sendPart applies a part and returns the raw reply.
func (w *world) sendPart(r *protocol.DirectorySync) string {
	w.t.Helper()
	got := w.apply(envelope(w.call("directory_sync", r, admin)))[0]
	if got.Err != nil {
		w.t.Fatal(got.Err)
	}
	return string(got.JSON())
}

func TestUploads(t *testing.T) {
	w, net := staffed(t, 4)
	a, b, c := listingOf(net, "P2@x admin"), listingOf(net, "P3@x admin", "P4@x admin"), listingOf(net, "P3@x member")
	want := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	want(w.sendPart(partOf(c, "u", 3, 3)), `{"part":3,"parts":3,"pending":true,"received":1,"type":"directory_sync_ok","upload_id":"u"}`)
	want(w.sendPart(partOf(a, "u", 1, 3)), `{"part":1,"parts":3,"pending":true,"received":2,"type":"directory_sync_ok","upload_id":"u"}`)
	want(w.sendPart(partOf(a, "u", 1, 3)), `{"part":1,"parts":3,"pending":true,"received":2,"type":"directory_sync_ok","upload_id":"u"}`)
	w.refused("directory_sync", partOf(b, "u", 1, 3), admin, protocol.CodeConflict, `part 1 of upload "u" was received with other contents; use a new upload_id`)
	w.refused("directory_sync", partOf(b, "u", 2, 4), admin, protocol.CodeConflict, `upload "u" was begun for another request; use a new upload_id`)
	other := *b
	other.RemoveUnlisted = true
	w.refused("directory_sync", partOf(&other, "u", 2, 3), admin, protocol.CodeConflict, `upload "u" was begun for another request; use a new upload_id`)
	if got := w.roles(net); got != "1 owner 2 member 3 member 4 member" {
		t.Error(got)
	}
	// The last part may be looked at first.
	if plan, e := w.m.Root().Plan(w.call("directory_sync", partOf(b, "u", 2, 3), admin)); e != nil || plan.(*protocol.DirectorySyncReply).Updated != 2 {
		t.Errorf("%+v %v", plan, e)
	}
	if _, e := w.m.Root().Plan(w.call("directory_sync", partOf(b, "new", 2, 3), admin)); e == nil || e.Code != protocol.CodeInvalid {
		t.Error(e)
	}
	if got := w.sync(partOf(b, "u", 2, 3)); got.Mapped != 3 || got.Updated != 2 { // P3 is a member in the end: part 3 comes last
		t.Errorf("%+v", got)
	}
	if got := w.roles(net); got != "1 owner 2 admin 3 member 4 admin" {
		t.Error(got)
	}
	if n, bytes := w.stagedLeft(); n != 0 || bytes != 0 {
		t.Errorf("%d records, %d bytes are left", n, bytes)
	}
}

// An upload belongs to who began it and waits ten minutes for its next part.
func TestUploadsEnd(t *testing.T) {
	w, net := staffed(t, 2)
	w.internal(KindPutToken, PutToken{Kind: TokenAdmin, Name: "second", MAC: testMAC(8)})
	second := func(w *world, c *Call) {
		rec, _ := w.m.Root().Token(TokenAdmin, "second")
		c.Actor.Token, c.Actor.TokenGen = "second", rec.Generation
	}
	a, b := listingOf(net, "P2@x admin"), listingOf(net, "P1@x owner")
	w.sendPart(partOf(a, "u", 1, 2))
	r, e := w.try("directory_sync", partOf(b, "u", 2, 2), second)
	if e != nil || r.(*protocol.DirectorySyncReply).Mapped != 0 || w.roles(net) != "1 owner 2 member" {
		t.Errorf("another token ended the upload: %+v %v", r, e)
	}
	w.tick(9 * minute)
	w.sendPart(partOf(a, "u", 1, 2)) // once more: the wait starts again
	w.tick(9 * minute)
	w.sweepAll()
	if n, _ := w.stagedLeft(); n != 2 {
		t.Errorf("%d records are staged", n)
	}
	w.tick(2 * minute)
	w.sweepAll()
	if n, bytes := w.stagedLeft(); n != 0 || bytes != 0 {
		t.Errorf("%d records, %d bytes are left", n, bytes)
	}
}

func TestUploadsAreBounded(t *testing.T) {
	w, net := staffed(t, 1)
	big := &protocol.DirectorySync{NetworkID: net}
	for i := range 5000 {
		big.Entries = append(big.Entries, protocol.DirectoryEntry{ExternalID: fmt.Sprint(i), DisplayName: strings.Repeat("x", 1<<10)})
	}
	for i := range uint32(3) {
		w.sendPart(partOf(big, "u", i+1, 9))
	}
	small := listingOf(net, "a")
	w.sendPart(partOf(small, "v", 1, 2))
	if _, e := w.try("directory_sync", partOf(big, "v", 2, 3), admin); e == nil || e.Code != protocol.CodeConflict {
		t.Error(e)
	}
	if _, e := w.try("directory_sync", partOf(big, "w", 1, 2), admin); e == nil || e.Code != protocol.CodeOverloaded || e.Outcome != protocol.OutcomeNotApplied {
		t.Error(e)
	}
	if _, e := w.try("directory_sync", partOf(big, "u", 4, 9), admin); e == nil || e.Code != protocol.CodeTooLarge {
		t.Error(e)
	}
	if n, bytes := w.stagedLeft(); n != 6 || bytes > protocol.MaxUploadBytes {
		t.Errorf("%d records, %d bytes", n, bytes)
	}
	if m, err := clone(w.m); err != nil || m.Root().uploads.bytes.Get() != w.m.Root().uploads.bytes.Get() {
		t.Error(err)
	}
}

// What does not fit a reply is fetched page by page, for ten minutes.
func TestLongReplies(t *testing.T) {
	const n = 1500
	w, net := staffed(t, n)
	r := &protocol.DirectorySync{NetworkID: net}
	var want []string
	for i := 2; i <= n; i++ {
		r.Entries = append(r.Entries, protocol.DirectoryEntry{ExternalID: fmt.Sprintf("P%d@x", i), Role: "admin", DisplayName: "Ü"})
		want = append(want, fmt.Sprintf("role P%d@x: member → admin (node %d)", i, i))
	}
	c := w.call("directory_sync", r, admin)
	var planned, warned []string
	for pages := 0; ; pages++ {
		got, e := w.m.Root().Plan(c)
		if e != nil || pages > 9 {
			t.Fatal(e)
		}
		p := got.(*protocol.DirectorySyncReply)
		planned, warned = append(planned, p.Actions...), append(warned, p.Warnings...)
		if size := len(render(p)); size > 50<<10 {
			t.Errorf("a page of %d bytes", size)
		}
		if c.Options.Cursor = p.NextCursor; p.NextCursor == "" {
			break
		}
	}
	if !slices.Equal(planned, want) || len(warned) != n-1 {
		t.Errorf("%d actions and %d warnings planned", len(planned), len(warned))
	}
	first := w.sync(r)
	done, cursor, warnings := first.Actions, first.NextCursor, len(first.Warnings)
	status := w.call("directory_status", &protocol.NetworkRequest{NetworkID: net}, admin)
	for status.Options.Cursor = cursor; status.Options.Cursor != ""; {
		got, e := w.m.Root().Read(status)
		if e != nil {
			t.Fatal(e)
		}
		s := got.Reply.(*protocol.DirectoryStatusReply)
		done, warnings, status.Options.Cursor = append(done, s.Actions...), warnings+len(s.Warnings), s.NextCursor
	}
	if !slices.Equal(done, want) || warnings != n-1 {
		t.Errorf("%d actions, %d warnings", len(done), warnings)
	}
	status.Options.Cursor = cursor
	gone := func() {
		t.Helper()
		if _, e := w.m.Root().Read(status); e == nil || e.Code != protocol.CodeNotFound {
			t.Error(e)
		}
	}
	w.sync(listingOf(net, "P2@x member"))
	gone()
	r.Entries[0].Role = "member"
	status.Options.Cursor = w.sync(r).NextCursor
	w.tick(11 * minute)
	w.sweepAll()
	gone()
	r.Entries[0].Role = "admin"
	w.sync(r)
	w.do("delete_network", &protocol.DeleteNetwork{NetworkID: net}, admin)
	if n, bytes := w.stagedLeft(); n != 0 || bytes != 0 {
		t.Errorf("%d records, %d bytes are left", n, bytes)
	}
}
