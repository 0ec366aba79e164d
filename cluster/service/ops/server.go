// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"net/http"
	"time"
)

// What a connection may take: without these one that sends slowly, or reads
// nothing, keeps its place for ever.
const (
	headerTime  = 5 * time.Second
	requestTime = 10 * time.Second
	// replyTime is longer than the checks and the sending of the metrics over a
	// slow line. Profiles get the time that they run besides.
	replyTime = 30 * time.Second
	restTime  = time.Minute
	// headerBytes is for a request that has no body. Headers that are many and
	// short take some twenty times their bytes when they are read.
	headerBytes = 8 << 10
)

// NewServer is the HTTP server of the listener.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTime, ReadTimeout: requestTime, WriteTimeout: replyTime, IdleTimeout: restTime,
		MaxHeaderBytes: headerBytes,
	}
}
