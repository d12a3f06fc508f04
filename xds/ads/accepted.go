package ads

import (
	"sync"

	"github.com/meshwright/meshwright/xds"
)

// accepted remembers, for each profile, the newest state that one of its
// proxies has taken whole. It is safe for concurrent use.
type accepted struct {
	mu   sync.Mutex // after a conn's
	last map[xds.Profile]acceptance
}

type acceptance struct {
	commit    string
	resources *xds.Resources
	idle      int // states published since a proxy of the profile was connected
}

// maxIdle is how many states a profile without proxies is remembered for.
const maxIdle = 10

func (a *accepted) put(p xds.Profile, commit string, r *xds.Resources) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last == nil {
		a.last = map[xds.Profile]acceptance{}
	}
	a.last[p] = acceptance{commit: commit, resources: r}
}

// get returns nil resources where nothing is remembered.
func (a *accepted) get(p xds.Profile) (commit string, r *xds.Resources) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last[p].commit, a.last[p].resources
}

// age is told of each new state who is connected, and forgets profiles that
// nobody has had for long.
func (a *accepted) age(connected map[xds.Profile]offer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for p, last := range a.last {
		last.idle++
		if _, ok := connected[p]; ok {
			last.idle = 0
		}
		a.last[p] = last
		if last.idle > maxIdle {
			delete(a.last, p)
		}
	}
}
