// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

// incoming is a request that may be a part of an upload.
type incoming struct {
	part protocol.UploadPart
	// key is the upload's, head its record so far, nil for a new one.
	key  string
	head *staged
	// scope is what the upload is for, data what this part brings.
	scope, data string
	// known is true when this part is there already.
	known bool
	// whole is true when nothing is missing any more.
	whole bool
}

// receive finds the upload that a request is a part of and refuses parts that
// do not fit what is there. An upload belongs to the token that began it.
func (st *uploadStore) receive(c *invocation, part protocol.UploadPart, scope, data string) (*incoming, *protocol.Error) {
	in := &incoming{part: part, scope: scope, data: data, whole: part.ID == ""}
	if in.whole {
		return in, nil
	}
	in.key = uploadKey(c.actor.Token, part.ID)
	received := uint32(0)
	if head, there := st.records.Get(in.key); there {
		in.head, received = head, head.received
		if head.scope != scope || head.parts != part.Parts {
			return nil, protocol.Refusef(protocol.CodeConflict, "upload %s was begun for another request; use a new upload_id", protocol.Quote(part.ID))
		}
	}
	if p, there := st.records.Get(partKey(in.key, part.Part)); there {
		if p.data != data {
			return nil, protocol.Refusef(protocol.CodeConflict, "part %d of upload %s was received with other contents; use a new upload_id", part.Part, protocol.Quote(part.ID))
		}
		in.known = true
	} else {
		received++
	}
	in.whole = received == part.Parts
	return in, st.roomFor(in)
}

func (st *uploadStore) roomFor(in *incoming) *protocol.Error {
	if in.known {
		return nil
	}
	size := int64(len(in.data))
	if in.head != nil {
		size += in.head.bytes
	}
	if size > protocol.MaxUploadBytes {
		return protocol.Refusef(protocol.CodeTooLarge, "the upload is too large (max %d bytes); send it as several requests", protocol.MaxUploadBytes)
	}
	if !in.whole && st.bytes.Get()+int64(len(in.data)) > protocol.MaxUploadBytes {
		e := protocol.NotAppliedf(protocol.CodeOverloaded, "other uploads that wait for parts leave no room (max %d bytes together); try again in %d minutes",
			protocol.MaxUploadBytes, protocol.UploadMinutes)
		e.Stateful = true
		return e
	}
	return nil
}

// eachPiece visits the parts of a whole upload in order; not the request
// that came without parts.
func (st *uploadStore) eachPiece(in *incoming, f func(data string)) {
	for i := uint32(1); i <= in.part.Parts; i++ {
		data := in.data
		if p, there := st.records.Get(partKey(in.key, i)); there {
			data = p.data
		}
		f(data)
	}
}

// stageUpload keeps a part and says how many there are.
func stageUpload(x *txn, in *incoming, reply string) any {
	head := staged{scope: in.scope, parts: in.part.Parts}
	if in.head != nil {
		head = *in.head
	}
	if !in.known {
		head.received++
		head.bytes += int64(len(in.data))
		x.putStaged(partKey(in.key, in.part.Part), &staged{data: in.data})
	}
	head.at = x.meta.now
	x.putStaged(in.key, &head)
	return &protocol.UploadReply{Type: reply, UploadID: in.part.ID, Part: in.part.Part, Parts: in.part.Parts, Received: head.received, Pending: true}
}

// forgetUpload drops an upload with its parts.
func forgetUpload(x *txn, key string) {
	head, there := x.uploads.records.Get(key)
	if !there {
		return
	}
	for i := uint32(1); i <= head.parts; i++ {
		x.dropStaged(partKey(key, i))
	}
	x.dropStaged(key)
}

// expireStaged drops what was not asked for in time.
func expireStaged(x *txn, key string) {
	if key[0] == stagedUpload {
		forgetUpload(x, key)
		return
	}
	x.dropStaged(key)
}

// checkRevision refuses a request that was made for another state of what it changes.
func checkRevision(want *uint64, now uint64, what string) *protocol.Error {
	if want == nil || *want == now {
		return nil
	}
	return protocol.Refusef(protocol.CodeConflict, "%s is at revision %d and the request was made for revision %d; look at it again and plan anew", what, now, *want)
}
