package reconciler

import (
	"slices"
	"time"

	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/sources"
)

// How patient the checks of pull requests are.
const (
	// patience is how long a pending status waits for the verdict: most are there
	// before, and forges count every write.
	patience = 500 * time.Millisecond
	// deadline is when a pending status ends as an error, so that nobody waits
	// for it for ever. The work goes on.
	deadline = 10 * time.Minute
)

// gone ends what was open and is not any more: a pending status that nobody
// would end, and the life of pull requests.
func (r rules) gone(s *State, open *Open, now time.Time) {
	heads := map[int]string{}
	for _, p := range open.Pulls {
		heads[p.Number] = p.Head
		if known := s.Pulls[p.Number]; known != nil && (known.Title != p.Title || known.Author != p.Author) {
			s.change(p.Number, func(k *Pull) { k.Title, k.Author = p.Title, p.Author })
		}
	}
	for i := range s.Records {
		rec := &s.Records[i]
		if !rec.open() {
			continue
		}
		end := report.Closed()
		for _, n := range rec.Pulls {
			if head := heads[n]; head != "" {
				end = report.Superseded(head)
			}
			if heads[n] == rec.Commit {
				end = sources.Status{}
				break
			}
		}
		if rec.Group && slices.Contains(open.Groups, rec.Commit) {
			end = sources.Status{}
		}
		if end.State == "" {
			continue
		}
		rec.Pulls, rec.Group, rec.Since = nil, false, time.Time{}
		for _, kind := range []string{report.KindCheck, report.KindPlan} {
			if r.wanted(rec, kind).State == sources.Pending {
				r.want(rec, kind, end)
			}
		}
	}
	for n, p := range s.Pulls {
		switch _, is := heads[n]; {
		case is && !p.Closed.IsZero():
			s.change(n, func(p *Pull) { p.Closed = time.Time{} })
		case !is && p.Closed.IsZero():
			s.change(n, func(p *Pull) { p.Closed, p.Questions = now, nil })
		}
	}
}

// waiting says pending, or that it takes too long, of a head without a verdict.
func (r rules) waiting(rec *Record, now time.Time) (next time.Time) {
	if rec.Since.IsZero() {
		rec.Since = now
	}
	begun, late := rec.Since.Add(patience), rec.Since.Add(deadline)
	switch {
	case now.Before(begun):
		return begun
	case rec.Result == Unread:
		return time.Time{} // it says so already
	case now.Before(late):
		r.want(rec, report.KindCheck, report.Checking())
		r.want(rec, report.KindPlan, report.Checking())
		return late
	}
	r.want(rec, report.KindCheck, report.Late(deadline))
	r.want(rec, report.KindPlan, report.Late(deadline))
	return time.Time{}
}

// again lets a head be looked at as if it were new.
func (r rules) again(rec *Record, now time.Time) {
	rec.Basis, rec.Since = nil, now.Add(-patience)
	r.waiting(rec, now)
}

// rerun lets a commit be looked at again and its statuses be written anew, also
// when they come out as they were: the forge has taken them back. What is not
// open gets those that it had: nobody would end a pending one.
func (r rules) rerun(rec *Record, now time.Time) {
	for context, slot := range rec.Statuses {
		slot.Wrote, slot.Refused, slot.Unsure = nil, "", true
		rec.Statuses[context] = slot
	}
	if rec.open() && !rec.Branch {
		rec.Rerun = true
		r.again(rec, now)
	}
}
