// SPDX-License-Identifier: Apache-2.0

package termguard

import (
	"slices"
	"sync"
)

// maxLeaders bounds the memory of who led: older terms are forgotten.
const maxLeaders = 1024

// leaders remembers who led which term.
type leaders struct {
	mu    sync.Mutex
	terms []uint64 // in order
	by    map[uint64]string
}

// claim notes that a member leads a term. When another one is known to lead
// it, that one is returned and nothing changes.
func (l *leaders) claim(term uint64, member string) (other string, contradicted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.by[term]; ok {
		return known, known != member
	}
	i, _ := slices.BinarySearch(l.terms, term)
	if len(l.terms) == maxLeaders {
		if i == 0 {
			return "", false
		}
		delete(l.by, l.terms[0])
		l.terms, i = slices.Delete(l.terms, 0, 1), i-1
	}
	if l.by == nil {
		l.by = map[uint64]string{}
	}
	l.terms, l.by[term] = slices.Insert(l.terms, i, term), member
	return "", false
}

// newest is who led the newest term known, empty when none is.
func (l *leaders) newest() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.terms) == 0 {
		return ""
	}
	return l.by[l.terms[len(l.terms)-1]]
}
