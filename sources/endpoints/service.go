package endpoints

import (
	"context"
	"fmt"
	"time"

	"github.com/meshwright/meshwright/schema"
)

type serviceName struct{ namespace, name string }

// service is one of a registry, with all that is asked of it. It is owned by
// who looks: [Watcher.Run], or the goroutine that this waits for.
type service struct {
	serviceName
	answers  map[schema.Query]*schema.Found // nil: none yet
	revision int64                          // of the answers
	checked  bool                           // health moves without a revision
	unasked  bool                           // there is a query that was never asked
	cut      bool                           // an answer was not whole

	failures int // in a row
	next     time.Time
}

func (s *service) due(now time.Time) bool {
	return s.unasked && s.failures == 0 || !now.Before(s.next)
}

// look asks for the revision and, where that is another one or says nothing
// about health, for the instances. It reports whether these were read.
func (s *service) look(ctx context.Context, r Registry) (read bool, err error) {
	revision, err := r.Revision(ctx, s.namespace, s.name)
	if err != nil {
		return false, fmt.Errorf("ask for the revision: %w", err)
	}
	if revision == s.revision && !s.checked && !s.unasked {
		return false, nil
	}
	checked, cut := false, false
	for q, had := range s.answers {
		a, err := r.Discover(ctx, q)
		if err != nil {
			return true, fmt.Errorf("ask for the instances: %w", err)
		}
		// An answer of a replica that lags behind is to be asked for again.
		revision = min(revision, a.Revision)
		checked, cut = checked || a.Checked, cut || a.Cut
		if found := schema.NewFound(a.Instances); had == nil || had.Version != found.Version {
			s.answers[q] = found
		}
	}
	s.revision, s.checked, s.unasked, s.cut = revision, checked, false, cut
	return true, nil
}
