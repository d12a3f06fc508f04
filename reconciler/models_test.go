package reconciler_test

import (
	"flag"
	"testing"
)

// asked is how many histories each model test plays where somebody looks for
// something rare: go test ./reconciler -run Model -histories 1000.
var asked = flag.Int("histories", 0, "play so many histories in each model test")

// histories are how many a model test plays, which are few where time is short.
func histories(all, few int) int {
	switch {
	case *asked > 0:
		return *asked
	case testing.Short():
		return few
	}
	return all
}
