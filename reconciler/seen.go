package reconciler

import (
	"maps"
	"time"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// Seen is one look at the world.
type Seen struct {
	// Loaded are the commits of the branch loaded since the last look, in order.
	Loaded []Loaded
	// Open are the open pull requests and merge groups; nil when they are unknown.
	Open *Open
	// Lists is how many of them this process has asked for.
	Lists int
	// Planned are the heads of them that were looked at since the last look.
	Planned []Planned
	// Orders are commands in comments, and Heard is up to where they were read;
	// zero: nothing new.
	Orders []Order
	Heard  Heard
	// Again are commits that somebody asks to be checked again.
	Again []string
	// Brought are the pull requests that brought commits to the branch; -1: none.
	Brought map[string]int
	// Published is the commit of the state that the proxies were given by this
	// process, and Label its name with them; empty at its start.
	Published, Label string
	// Spec is what was published: of Published, or a blend; nil before.
	Spec *schema.Spec
	// Specs are those of commits of the branch as far as [State.needs] asks for
	// them, and Heads those of pull requests that are canaries, merged.
	Specs, Heads specs
	// Progress names commits; Acks are the same by label.
	Progress, Acks xds.Progress
	Connected      int // proxies, where it matters
	// Around are how many proxies of each identity were connected when they were
	// last counted, at Counted (zero: not yet): some time after the first has come
	// or gone, so that a crowd that comes back is counted once.
	Around  map[xds.Identity]int
	Counted time.Time
	// Traffic is that of the watched nodes, when its time has come; nil before.
	Traffic *Traffic
	// Evidence is that of the rollouts that are watched, by name.
	Evidence map[string]Evidence
	// Said is what people say to rollouts, but for comments.
	Said []said
	// Away is why git cannot be asked; empty: it can, or nobody has tried yet.
	Away string
	// Written are the answers of the forge since the last look.
	Written []Written
}

// Loaded is a commit and what became of its load.
type Loaded struct {
	Revision sources.Revision // without Files
	// Restored: it is what the daemon needs to serve what it did when it went down,
	// not news.
	Restored bool
	// Found: nothing was known of the past, and what we have written beside the
	// branch's commits says that it was completed last.
	Found bool
	// Unproven: the state is lost, and no commit of the branch is known to have been
	// completed, though we have written beside some.
	Unproven bool
	// Failed are specs of the newest commits that had gone back when the state was
	// lost.
	Failed specs
	// Err: the files could not be read, and Result says nothing.
	Err         error
	Documents   int
	Diagnostics schema.Diagnostics
	Spec        *schema.Spec // nil when it has errors, and for pull requests
}

// Actions are what to do about the world. Both are whole assignments: to do
// them twice is harmless.
type Actions struct {
	// Publish is what the proxies shall have now; nil: what they have.
	Publish *Publish
	// Moved are the runs that went over into another phase, or that say something
	// new, in order; of those that others replace it is the last that is known.
	Moved []*Run
	// Writes are all letters that are outstanding, in their order.
	Writes []Write
	// Jobs are the heads to look at.
	Jobs []Job
	// Heads are those of pull requests whose specs are to be kept, too.
	Heads map[string]bool
	// Trace are the branch's commits of which the pull requests are to be found.
	Trace []string
	// List: what is open was asked for before the branch became what it is.
	List bool
	// Tried are the pull requests of which the end is to be found out.
	Tried []int
	// Needs are the commits of the branch whose specs are to be kept.
	Needs []string
	// Wishes are what rollouts have to know besides.
	Wishes []Wish
	// Next is when to decide again though nothing happens; zero: never.
	Next time.Time
}

// Publish is a spec to give to the proxies.
type Publish struct {
	Label string    // see [State.label]
	When  time.Time // of the commit
	Spec  *schema.Spec
	// Beneath is the same but for the canaries of pull requests: what plans begin at.
	Beneath Side
}

// specs are those that are kept, and those of the commits that were just loaded.
func (seen Seen) specs() specs {
	all := maps.Clone(seen.Specs)
	for _, l := range seen.Loaded {
		if all == nil {
			all = specs{}
		}
		if l.Spec != nil || l.Restored { // nil: this version refuses it
			all[l.Revision.Commit] = l.Spec
		}
	}
	return all
}

// heads are those that are kept, and those that were just loaded.
func (seen Seen) heads() specs {
	all := maps.Clone(seen.Heads)
	for _, p := range seen.Planned {
		if all == nil {
			all = specs{}
		}
		if p.Merged != nil {
			all[p.Head] = p.Merged
		}
	}
	return all
}
