// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// snapshotTime bounds how long a caller waits for a snapshot.
const snapshotTime = 25 * time.Second

// snapshot has the member write its state to disk now. A browser on this
// machine must not be steered to it, so requests of other sites are refused.
func (c *Config) snapshot(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		plain(w, http.StatusMethodNotAllowed, "Method not allowed\n")
		return
	}
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		plain(w, http.StatusForbidden, "Forbidden: the request was made by a page of another site\n")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), snapshotTime)
	defer cancel()
	if err := c.Snapshot(ctx); err != nil {
		plain(w, http.StatusInternalServerError, "snapshot failed: "+err.Error()+"\n")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{ // the client has gone
		"status": "ok", "message": "snapshot saved successfully",
	})
}
