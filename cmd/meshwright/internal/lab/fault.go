package lab

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Fault is what is wrong with an application: a share of its answers are errors.
type Fault struct {
	mu    sync.Mutex
	share float64
	count int
	first time.Time
}

// Fault is that of a node's application; at first there is none.
func (l *Lab) Fault(node string) *Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.faults == nil {
		l.faults = map[string]*Fault{}
	}
	if l.faults[node] == nil {
		l.faults[node] = &Fault{}
	}
	return l.faults[node]
}

// Set has a share (0 to 1) of the answers be errors from now on, and counts them
// anew.
func (f *Fault) Set(share float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.share, f.count, f.first = share, 0, time.Time{}
}

// Errors are how many answers were errors since [Fault.Set], and when the first
// was.
func (f *Fault) Errors() (count int, first time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count, f.first
}

func (f *Fault) strikes() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if rand.Float64() >= f.share {
		return false
	}
	if f.count++; f.count == 1 {
		f.first = time.Now()
	}
	return true
}

func (f *Fault) before(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.strikes() {
			http.Error(w, "a bug of this version", http.StatusInternalServerError)
			return
		}
		h.ServeHTTP(w, r)
	})
}
