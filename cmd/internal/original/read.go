// SPDX-License-Identifier: Apache-2.0

package original

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// MaxBytes is the largest file that is read.
const MaxBytes = 1 << 30

// Store is what a file holds, in the form in which a cluster takes it.
type Store struct {
	Doc fsm.ReplicationDoc
	// JoinTokens and AdminTokens are those of networks.
	JoinTokens, AdminTokens map[uint16]protocol.Secret
	// ExportToken is that of the audit export.
	ExportToken protocol.Secret
	Report      Report
}

// Options say how a file is read.
type Options struct {
	// Now is the time of the import.
	Now time.Time
	// AnyChecksum takes a file whose checksum is wrong.
	AnyChecksum bool
}

// topLevel are the keys of a file besides those that count what else is in it.
type topLevel struct {
	Version       int             `json:"version"`
	NextNode      *uint32         `json:"next_node"`
	NextNet       *uint16         `json:"next_net"`
	TotalRequests uint64          `json:"total_requests"`
	StartTime     string          `json:"start_time"`
	Nodes         json.RawMessage `json:"nodes"`
	Networks      json.RawMessage `json:"networks"`
	TrustPairs    json.RawMessage `json:"trust_pairs"`
	PubKeyIdx     json.RawMessage `json:"pub_key_idx"`
	Requests      json.RawMessage `json:"handshake_inbox"`
	Responses     json.RawMessage `json:"handshake_responses"`
	Invites       json.RawMessage `json:"invite_inbox"`
	PreAssign     json.RawMessage `json:"rbac_pre_assign"`
	IDP           json.RawMessage `json:"idp_config"`
	Export        json.RawMessage `json:"audit_export_config"`
	Audit         json.RawMessage `json:"audit_log"`
	Checksum      string          `json:"checksum"`
	derived
}

// derived are keys that say nothing which is not elsewhere in the file.
type derived struct {
	TotalNodes    json.RawMessage `json:"total_nodes"`
	OnlineNodes   json.RawMessage `json:"online_nodes"`
	TrustLinks    json.RawMessage `json:"trust_links"`
	UniqueTags    json.RawMessage `json:"unique_tags"`
	TaskExecutors json.RawMessage `json:"task_executors"`
	Term          json.RawMessage `json:"term"`
}

// reader reads one file.
type reader struct {
	notes
	Store
	top topLevel
	now time.Time
	// networkIDs are those of the networks that are taken.
	networkIDs map[uint16]bool
	// nodeNets are the networks that nodes say they are in.
	nodeNets map[uint32][]uint16
	// highest is the highest id of a node, taken or not.
	highest uint32
}

// Read reads a file. What cannot be taken as it is stands in the report; an
// error means that nothing can.
func Read(raw []byte, o Options) (*Store, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) > MaxBytes {
		return nil, fmt.Errorf("the file has %d bytes, and more than %d are not read", len(raw), MaxBytes)
	}
	if !json.Valid(raw) {
		return nil, fmt.Errorf("the file is no JSON document: %s", protocol.JSONProblem(errors.New("it is damaged"), raw))
	}
	r := &reader{now: o.Now.UTC(), networkIDs: map[uint16]bool{}, nodeNets: map[uint32][]uint16{}}
	sum := sha256.Sum256(raw)
	r.Report.SHA256 = hex.EncodeToString(sum[:])
	if err := decode(&r.notes, "the file", raw, &r.top); err != nil {
		return nil, fmt.Errorf("the file: %w", err)
	}
	if err := r.checkFile(raw, o.AnyChecksum); err != nil {
		return nil, err
	}
	for _, step := range []func() error{r.readNodes, r.readKeys, r.readNetworks, r.readTrust, r.readRequests, r.readResponses, r.readInvites, r.readPreAssign, r.readConfig, r.readAudit} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	r.readCounters()
	r.Report.Objects, r.Report.Notes = r.tallies, append([]Note{}, r.list...)
	return &r.Store, nil
}

// checkFile refuses what is no store file, or not a whole one.
func (r *reader) checkFile(raw []byte, anyChecksum bool) error {
	r.Report.Version, r.Report.Checksum = r.top.Version, checksum(raw, r.top.Checksum)
	switch {
	case r.top.Version < 0 || r.top.Version > 1:
		return fmt.Errorf("the file has version %d, and this program knows 0 and 1: use a newer one", r.top.Version)
	case r.top.Nodes == nil || r.top.Networks == nil:
		return errors.New(`the file has no "nodes" or no "networks": it is not a store file of the original registry`)
	case r.Report.Checksum == ChecksumWrong && !anyChecksum:
		return errors.New("the file does not match its checksum: it was changed, or not written as a whole. Take another copy, or give --any-checksum to import it as it is")
	}
	return nil
}

var checksumAtEnd = regexp.MustCompile(`,"checksum":"[0-9a-f]{64}"}$`)

// checksum compares a file with its checksum, which covers what stands before it.
func checksum(raw []byte, want string) string {
	if want == "" {
		return ChecksumAbsent
	}
	at := checksumAtEnd.FindIndex(raw[max(0, len(raw)-100):])
	if at == nil {
		return ChecksumWrong
	}
	body := raw[:max(0, len(raw)-100)+at[0]]
	h := sha256.New()
	h.Write(body)
	h.Write([]byte{'}'})
	if hex.EncodeToString(h.Sum(nil)) != want {
		return ChecksumWrong
	}
	return ChecksumRight
}

// time reads a time, in the form that the document has: "" for none, and for
// the zero time of the original.
func (r *reader) time(object, field, text string) string {
	at, ok := protocol.ParseTime(text)
	switch {
	case text == "", ok && at.Year() <= 1:
		return ""
	case !ok, at.UnixMilli() < 0, at.Year() > 9999:
		r.leftOut(object, field, "it is not a time from 1970 to 9999 in RFC 3339")
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// text bounds a text that the schema does not bound.
func (r *reader) text(object, field string, text *string, most int) {
	switch {
	case len(*text) > most:
		r.leftOut(object, field, fmt.Sprintf("it has more than %d bytes", most))
		*text = ""
	case protocol.HasControl(*text):
		r.leftOut(object, field, "it holds a control character")
		*text = ""
	}
}
