package reconciler

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// State is the progress that must survive a crash. It is stored as JSON under
// the key "state", but for its pull requests, which have a key each ("pull/7");
// Format is raised when an old daemon could not read it.
type State struct {
	Format int `json:"format"`
	// Head is the newest commit of the branch that was judged.
	Head string `json:"head"`
	// Good is the commit that proxies should have in the end: the newest good one.
	Good string `json:"good"`
	// Proxies is how many were connected when they were last counted: so many come
	// back after a restart.
	Proxies int `json:"proxies,omitempty"`
	// Taken is the good commit that the rollouts have taken in: what is served lies
	// between it and what was completed before. Pushes counts what was published
	// of blends, so that their ACKs can be told apart.
	Taken  string `json:"taken,omitempty"`
	Pushes int    `json:"pushes,omitempty"`
	// Rollouts are those of Taken, by name.
	Rollouts map[string]Track `json:"rollouts,omitempty"`
	// Trials are the canaries of pull requests, by name and number.
	Trials map[string]*Run `json:"trials,omitempty"`
	// Past are runs that have ended and are of none of these any more: the Rollout
	// was removed, or the pull request closed. Newest first, for a day.
	Past []*Run `json:"past,omitempty"`
	// Asks are pull requests that somebody wants to be canaries, by number.
	Asks map[int]Ask `json:"asks,omitempty"`
	// Records are what is known of commits, newest first; see [State.trim].
	Records []Record `json:"records"`
	// Heard is up to where comments were read.
	Heard Heard `json:"heard,omitzero"`
	// Reactions are those to comments that the forge has not confirmed.
	Reactions []Reaction `json:"reactions,omitempty"`

	// Pulls are the pull requests that have a comment of ours, or are about to,
	// by number. Who changes one puts a changed copy in its place.
	Pulls map[int]*Pull `json:"-"`
	// Unfit is why commits have no spec that the state needs: this version refuses
	// them, or the repository has them no more. Those that were not read yet are not in it.
	Unfit map[string]string `json:"-"`
	// Doubt is the newest good commit while Good is empty for want of a past; nil: it
	// is not.
	Doubt *Doubt `json:"-"`
	// Moved is the last list of what is open that was asked for before Head became
	// what it is.
	Moved int `json:"-"`
	// Started is when this process began to look; proxies come back after it.
	Started time.Time `json:"-"`
}

const format = 1

// Record is what is known of one commit: the branch's, or the head of a pull
// request or of a merge queue's group. Of such a head it tells what became of
// its merge with the branch.
type Record struct {
	Commit string    `json:"commit"`
	Title  string    `json:"title"`
	Author string    `json:"author"`
	When   time.Time `json:"when"`
	Branch bool      `json:"branch"`
	Pulls  []int     `json:"pulls,omitempty"` // that are open and have this head
	Group  bool      `json:"group,omitempty"` // a merge queue waits for it
	// Brought is the merged pull request that brought the commit to the branch: 0
	// while it is not known, -1 when there is none.
	Brought int `json:"brought,omitempty"`
	// Landed are the commits that came to the branch with this one.
	Landed []Landed `json:"landed,omitempty"`

	Result      string             `json:"result"` // Good, Bad or Unread; empty before there is one
	Documents   int                `json:"documents"`
	Errors      int                `json:"errors"`
	Warnings    int                `json:"warnings"`
	Diagnostics schema.Diagnostics `json:"diagnostics,omitempty"` // the first

	// Basis is what a head's verdict rests on; nil while there is none.
	Basis *Basis `json:"basis,omitempty"`
	// Since is when it turned out that a head has no verdict; zero: it has one.
	Since time.Time `json:"since,omitzero"`
	// Rerun: somebody asked to have a head checked again, and the pending
	// statuses that say so are not written yet.
	Rerun bool `json:"rerun,omitempty"`
	// Applied is how far the commit has come on the proxies; nil when it never
	// was the branch's.
	Applied *Applied `json:"applied,omitempty"`
	// Canary is where the commit's rollouts stand; nil where it has none.
	Canary *sources.Status `json:"canary,omitempty"`
	// Notices are comments that stay: what has failed, and why.
	Notices []Notice `json:"notices,omitempty"`
	// Revert is what undoes the commit; nil: nothing asks for it.
	Revert *Revert `json:"revert,omitempty"`
	// Watch is how the commit's traffic is looked at; nil when it is not.
	Watch *Watch `json:"watch,omitempty"`
	// Health is how the commit does since: its traffic, and whether it is what is
	// served; nil while nothing is known.
	Health *sources.Status `json:"health,omitempty"`
	// Statuses by context.
	Statuses map[string]Slot `json:"statuses,omitempty"`
	// Deployments by environment.
	Deployments map[string]Slot `json:"deployments,omitempty"`
}

// Landed is a commit that came to the branch with a later one, which is loaded
// and served in its place.
type Landed struct {
	Commit  string `json:"commit"`
	Brought int    `json:"brought,omitempty"` // as [Record]'s
}

// Basis is what a verdict about a head rests on besides the head: when it moves,
// the verdict may be another.
type Basis struct {
	Base    string `json:"base"`    // tip of the branch
	Serving string `json:"serving"` // commit that proxies should have
	// Label is that of what is served but for the canaries of pull requests, and
	// Serves says of it for people what it is, where it is not all of Serving.
	Label  string `json:"label,omitempty"`
	Serves string `json:"serves,omitempty"`
	Labels string `json:"labels"` // of its pull requests, by commas
	// Rollouts is a digest of where those stand by which something is on its way.
	Rollouts string `json:"rollouts,omitempty"`
	// Files are what the head changes below the specs' folder, the first of them.
	Files []string `json:"files,omitempty"`
	// More: there are more of them than are kept.
	More bool `json:"more,omitempty"`
	// Counted is [Seen]'s when the verdict was asked for.
	Counted time.Time `json:"-"`
}

// keepFiles is how many files of a head are kept: the state is small, since it is
// saved at each step.
const keepFiles = 100

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

// Watch is what is needed to compare the traffic of the nodes that a commit
// touches.
type Watch struct {
	Nodes     []schema.Ref `json:"nodes"`
	Published time.Time    `json:"published"`
	Applied   time.Time    `json:"applied,omitzero"` // on all proxies
	Done      bool         `json:"done,omitempty"`   // the verdict is there
}

// Notice is a comment of its own on a pull request.
type Notice struct {
	Key  string `json:"key"`
	Pull int    `json:"pull,omitempty"` // 0: that which brought the commit to the branch
	Body string `json:"body"`
	Slot Slot   `json:"slot"`
}

// Revert is a pull request to be opened that takes the specs back.
type Revert struct {
	Rollout string `json:"rollout"` // that failed
	To      string `json:"to"`      // commit
	Reason  string `json:"reason"`
	Pull    int    `json:"pull,omitempty"` // that was opened; 0: none was yet
	Slot    Slot   `json:"slot"`
}

// Pull is what is known of one pull request, open or merged.
type Pull struct {
	Report report.Pull `json:"report"`
	// Title and Author are those of the pull request when it was last open.
	Title  string `json:"title,omitempty"`
	Author string `json:"author,omitempty"`
	// Comment is our one comment on it; its digest is that of the body.
	Comment Slot `json:"comment,omitzero"`
	// Questions are commands that wait for the next look at its head.
	Questions []Question `json:"questions,omitempty"`
	// Closed is since when it is not open any more; zero: it is.
	Closed time.Time `json:"closed,omitzero"`

	body string // of Comment.Want; made again from Report after a restart
	// mistake is what has kept the body from being made, with the stack; empty: nothing.
	mistake string
}

// clone copies what decide may change.
func (s State) clone() State {
	s.Records = slices.Clone(s.Records)
	for i := range s.Records {
		r := &s.Records[i]
		r.Statuses, r.Deployments = maps.Clone(r.Statuses), maps.Clone(r.Deployments)
		r.Landed = slices.Clone(r.Landed)
		if r.Applied != nil {
			applied := *r.Applied
			r.Applied = &applied
		}
		if r.Watch != nil {
			watch := *r.Watch
			r.Watch = &watch
		}
		r.Notices = slices.Clone(r.Notices)
		if r.Revert != nil {
			revert := *r.Revert
			r.Revert = &revert
		}
	}
	s.Reactions, s.Pulls = slices.Clone(s.Reactions), maps.Clone(s.Pulls)
	s.Rollouts, s.Trials = maps.Clone(s.Rollouts), maps.Clone(s.Trials)
	s.Past, s.Asks = slices.Clone(s.Past), maps.Clone(s.Asks)
	if s.Pulls == nil {
		s.Pulls = map[int]*Pull{}
	}
	return s
}

// find returns the record of a commit, nil if there is none. The pointer is
// good until records are added or removed.
func (s State) find(commit string) *Record {
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

// keepClosed is how long a pull request is remembered after its end: what is
// merged gets the last word, and commands to it are answered.
const keepClosed = 7 * 24 * time.Hour

// trim forgets old records and pull requests. What is served, the head, heads
// that are open and what has letters outstanding stay.
func (s *State) trim(now time.Time) {
	branch, pulls, total := 0, 0, 0
	awaited := map[string]bool{} // ends of what was merged
	for _, run := range s.runs() {
		awaited[run.Head] = true
	}
	s.Records = slices.DeleteFunc(s.Records, func(r Record) bool {
		kind := &pulls
		if r.Branch {
			kind = &branch
		}
		*kind, total = *kind+1, total+1
		switch {
		case r.Commit == s.Good || r.Commit == s.Taken || r.Commit == s.Head || r.open() || awaited[r.Commit]:
			return false
		case *kind <= keepRecords:
			return false
		}
		return total > keepAtMost || !r.outstanding()
	})
	s.Past = slices.DeleteFunc(s.Past, func(run *Run) bool { return now.Sub(run.over()) > longPast })
	maps.DeleteFunc(s.Pulls, func(_ int, p *Pull) bool {
		return !p.Closed.IsZero() && now.Sub(p.Closed) > keepClosed
	})
}

// groups are the heads that a merge queue waits for.
func (s State) groups() (heads []string) {
	for _, r := range s.Records {
		if r.Group {
			heads = append(heads, r.Commit)
		}
	}
	return heads
}

// open reports whether it waits to be merged.
func (r Record) open() bool { return len(r.Pulls) > 0 || r.Group }

func (r Record) outstanding() bool {
	for _, slots := range []map[string]Slot{r.Statuses, r.Deployments} {
		for _, slot := range slots {
			if slot.open() {
				return true
			}
		}
	}
	return r.Revert != nil && r.Revert.Slot.open() ||
		slices.ContainsFunc(r.Notices, func(n Notice) bool { return n.pull(r) != 0 && n.Slot.open() })
}

// pull is where a notice of a record goes; 0: it is not known, or there is none.
func (n Notice) pull(r Record) int { return max(0, cmp.Or(n.Pull, r.Brought)) }
