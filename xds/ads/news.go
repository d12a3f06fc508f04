package ads

import (
	"sync"
	"time"
)

// pace is how often there is news at most. Whoever hears of some looks at all
// proxies: to do so at each of a thousand ACKs would delay the thousandth.
const pace = 25 * time.Millisecond

// news tells that something has changed: at once after a quiet time, and else
// when the pace allows.
type news struct {
	heard chan struct{} // capacity 1: whoever receives looks at everything

	mu      sync.Mutex
	resting bool // told less than a pace ago
	more    bool // and something has changed since
}

func newNews() *news { return &news{heard: make(chan struct{}, 1)} }

func (n *news) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.resting {
		n.more = true
		return
	}
	select {
	case n.heard <- struct{}{}:
	default:
	}
	n.resting = true
	time.AfterFunc(pace, n.rested)
}

func (n *news) rested() {
	n.mu.Lock()
	more := n.more
	n.resting, n.more = false, false
	n.mu.Unlock()
	if more {
		n.tell()
	}
}
