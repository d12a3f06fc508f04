package reconciler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/meshwright/meshwright/reconciler/store"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// State is the progress that must survive a crash. It is stored as JSON under
// the key "state"; Format is raised when an old daemon could not read it.
type State struct {
	Format int `json:"format"`
	// Head is the newest commit of the branch that was judged.
	Head string `json:"head"`
	// Good is the commit that proxies should have: the newest good one.
	Good string `json:"good"`
	// Records are what is known of commits, newest first; see [State.trim].
	Records []Record `json:"records"`

	// Started is when this process began to look; proxies come back after it.
	Started time.Time `json:"-"`
}

const format = 1

// Record is what is known of one commit: the branch's, or a pull request's head.
type Record struct {
	Commit string    `json:"commit"`
	Title  string    `json:"title"`
	Author string    `json:"author"`
	When   time.Time `json:"when"`
	Branch bool      `json:"branch"`
	Pulls  []int     `json:"pulls,omitempty"`

	Result      string             `json:"result"` // Good, Bad or Unread
	Documents   int                `json:"documents"`
	Errors      int                `json:"errors"`
	Warnings    int                `json:"warnings"`
	Diagnostics schema.Diagnostics `json:"diagnostics,omitempty"` // the first

	// Applied is how far the commit has come on the proxies; nil when it never
	// was the branch's.
	Applied *Applied `json:"applied,omitempty"`
	// Statuses by context.
	Statuses map[string]Slot `json:"statuses,omitempty"`
}

// Applied is the last verdict about a commit on the proxies.
type Applied struct {
	Status   sources.Status `json:"status"`
	Changed  time.Time      `json:"changed"`            // when Status became what it is
	Progress *xds.Progress  `json:"progress,omitempty"` // at that time; nil before any
	Calm     time.Time      `json:"calm,omitzero"`      // since when nobody refuses it any more
}

func (a *Applied) rejected() []xds.Rejection {
	if a.Progress == nil {
		return nil
	}
	return a.Progress.Rejected
}

// Slot is one commit status. Want is what should stand; it is outstanding
// until the forge has confirmed it.
type Slot struct {
	Want sources.Status `json:"want"`
	// Tried is an intent, saved before it is carried out: what may stand there
	// unconfirmed.
	Tried bool            `json:"tried,omitempty"`
	Wrote *sources.Status `json:"wrote,omitempty"`
	// Unsure: an earlier process tried and did not live to tell; look at what
	// stands before writing.
	Unsure bool `json:"-"`
	// Refused is why the forge will never take Want.
	Refused string `json:"refused,omitempty"`
}

// open reports whether the slot still has something to write.
func (s Slot) open() bool {
	return s.Refused == "" && (s.Tried || !s.stands())
}

// stands reports whether what was last confirmed is what is wanted.
func (s Slot) stands() bool {
	return s.Wrote != nil && equal(*s.Wrote, s.Want)
}

// equal ignores the link: it depends on how this daemon is reached, and nobody
// wants old statuses written anew for that.
func equal(a, b sources.Status) bool {
	return a.State == b.State && a.Description == b.Description
}

// clone copies what decide may change.
func (s State) clone() State {
	s.Records = slices.Clone(s.Records)
	for i := range s.Records {
		r := &s.Records[i]
		r.Statuses = maps.Clone(r.Statuses)
		if r.Applied != nil {
			applied := *r.Applied
			r.Applied = &applied
		}
	}
	return s
}

// find returns the record of a commit, nil if there is none. The pointer is
// good until records are added or moved.
func (s *State) find(commit string) *Record {
	for i := range s.Records {
		if s.Records[i].Commit == commit {
			return &s.Records[i]
		}
	}
	return nil
}

// front returns the record of a commit as the newest, made if it is not there.
func (s *State) front(commit string) *Record {
	r := Record{Commit: commit}
	if i := slices.IndexFunc(s.Records, func(r Record) bool { return r.Commit == commit }); i >= 0 {
		r = s.Records[i]
		s.Records = slices.Delete(s.Records, i, i+1)
	}
	s.Records = slices.Insert(s.Records, 0, r)
	return &s.Records[0]
}

// How many records are kept, of the branch and of pull requests each; and how
// many at most while a forge that does not answer has statuses outstanding.
const (
	keepRecords = 50
	keepAtMost  = 500
)

// trim forgets old records. What is served, the head, open pull requests and
// what has statuses outstanding stay.
func (s *State) trim() {
	branch, pulls, total := 0, 0, 0
	s.Records = slices.DeleteFunc(s.Records, func(r Record) bool {
		kind := &pulls
		if r.Branch {
			kind = &branch
		}
		*kind, total = *kind+1, total+1
		switch {
		case r.Commit == s.Good || r.Commit == s.Head || len(r.Pulls) > 0:
			return false
		case *kind <= keepRecords:
			return false
		}
		return total > keepAtMost || !r.outstanding()
	})
}

func (r Record) outstanding() bool {
	for _, slot := range r.Statuses {
		if slot.open() {
			return true
		}
	}
	return false
}

// journal keeps the state in a store. It is the loop's.
type journal struct {
	store   store.Store
	version uint64
	saved   []byte
}

const stateKey = "state"

func (j *journal) load(ctx context.Context) (State, error) {
	value, version, err := j.store.Get(ctx, stateKey)
	if err != nil {
		return State{}, fmt.Errorf("load state: %w", err)
	}
	j.version, j.saved = version, value
	if version == 0 {
		return State{Format: format}, nil
	}
	s, err := readState(value)
	if err != nil {
		return State{}, fmt.Errorf("load state: %w", err)
	}
	return s, nil
}

// readState reads what save has written.
func readState(value []byte) (State, error) {
	var s State
	if err := json.Unmarshal(value, &s); err != nil {
		return State{}, fmt.Errorf("it is damaged: %w; remove the state directory to start from the newest commit", err)
	}
	if s.Format != format {
		return State{}, fmt.Errorf("its format is %d and this meshwright knows %d; start the version that wrote it, or remove the state directory", s.Format, format)
	}
	if good := s.find(s.Good); s.Good != "" && (good == nil || good.Applied == nil) {
		return State{}, fmt.Errorf("it is damaged: nothing is known of the good commit %s; remove the state directory to start from the newest commit", s.Good)
	}
	for _, r := range s.Records {
		if r.Commit == "" {
			return State{}, errors.New("it is damaged: a commit has no hash; remove the state directory to start from the newest commit")
		}
		for context, slot := range r.Statuses {
			slot.Unsure = slot.Tried
			r.Statuses[context] = slot
		}
	}
	return s, nil
}

// save writes the state when it differs from what is stored.
func (j *journal) save(ctx context.Context, s State) error {
	value, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	if string(value) == string(j.saved) {
		return nil
	}
	version, err := j.store.CompareAndSet(ctx, stateKey, value, j.version)
	if errors.Is(err, store.ErrConflict) {
		err = fmt.Errorf("%w; is another meshwright running on this state?", err)
	}
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	j.version, j.saved = version, value
	return nil
}
