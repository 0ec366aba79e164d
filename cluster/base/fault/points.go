// SPDX-License-Identifier: Apache-2.0

package fault

// Point is a place in the code where a test can make a member fail. The names
// are constants so that a run can report which of them were reached.
type Point string

// Points where something is written, applied or sent.
const (
	StoreLogsBefore    Point = "store.logs.before"
	StoreLogsAfter     Point = "store.logs.after"
	StoreDeleteBefore  Point = "store.delete.before"
	StoreDeleteAfter   Point = "store.delete.after"
	StoreRecordBefore  Point = "store.record.before"
	ApplyBefore        Point = "apply.before"
	ApplyAfter         Point = "apply.after"
	SnapshotBefore     Point = "snapshot.persist.before"
	SnapshotMiddle     Point = "snapshot.persist.middle"
	SnapshotAfter      Point = "snapshot.persist.after"
	RestoreBefore      Point = "snapshot.restore.before"
	RestoreAfter       Point = "snapshot.restore.after"
	ProposeBefore      Point = "propose.before"
	ProposeAfter       Point = "propose.after"
	ForwardBefore      Point = "forward.before"
	ForwardAfter       Point = "forward.after"
	ForwardServed      Point = "forward.served"
	ConfirmAsked       Point = "confirm.asked"
	ConfirmAnswered    Point = "confirm.answered"
	TermStartBefore    Point = "term_start.before"
	TermStartAfter     Point = "term_start.after"
	MembershipBefore   Point = "membership.before"
	MembershipAfter    Point = "membership.after"
	JoinSpent          Point = "join.spent"
	JoinAnswered       Point = "join.answered"
	LevelRaiseBefore   Point = "level.raise.before"
	LevelRaiseAfter    Point = "level.raise.after"
	ReplyBefore        Point = "reply.before"
	DrainTransferAfter Point = "drain.transfer.after"
	TermVoteBefore     Point = "store.term_vote.before"
	TermVoteAfter      Point = "store.term_vote.after"
	VoteToLeader       Point = "vote.to_leader.before"
	AppendIdle         Point = "append.idle.before"
	AppendEntries      Point = "append.entries.before"
)

// Points lists all of them.
var Points = []Point{
	StoreLogsBefore, StoreLogsAfter, StoreDeleteBefore, StoreDeleteAfter, StoreRecordBefore,
	ApplyBefore, ApplyAfter, SnapshotBefore, SnapshotMiddle, SnapshotAfter, RestoreBefore, RestoreAfter,
	ProposeBefore, ProposeAfter, ForwardBefore, ForwardAfter, ForwardServed, ConfirmAsked, ConfirmAnswered,
	TermStartBefore, TermStartAfter, MembershipBefore, MembershipAfter, JoinSpent, JoinAnswered,
	LevelRaiseBefore, LevelRaiseAfter, ReplyBefore, DrainTransferAfter, TermVoteBefore, TermVoteAfter,
	VoteToLeader, AppendIdle, AppendEntries,
}
