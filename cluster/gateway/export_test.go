package gateway

import "context"

// NoteNow notes what was refused without waiting for the interval.
func NoteNow(g *Gateway, ctx context.Context) { g.noteRefusals(ctx) }
