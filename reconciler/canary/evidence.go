package canary

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshwright/meshwright/xds"
)

// patience is for how long a proxy may say nothing: it reports each
// [xds.ReportInterval], and one report may be late, and one lost.
const patience = 3 * xds.ReportInterval

// Straggler is a proxy that keeps a rollout.
type Straggler struct {
	Proxy  string        // its ID
	Silent time.Duration // since its last report, or its coming; 0: it reports
}

// String is the straggler as people are told of it: "shop-5d9 (no report for 40 s)".
func (s Straggler) String() string {
	if s.Silent <= 0 {
		return s.Proxy
	}
	return fmt.Sprintf("%s (no report for %s)", s.Proxy, span(s.Silent))
}

func (s Straggler) compare(o Straggler) int {
	return cmp.Or(cmp.Compare(o.Silent, s.Silent), strings.Compare(s.Proxy, o.Proxy))
}

// Reporting counts the callers' proxies that tell of traffic, and returns those
// that ought to and do not, the longest silent first. One that has just connected
// is neither yet; gRPC clients without an Envoy tell nothing ever, and are not
// asked. All of them have told of traffic up to a while ago, or were not there.
func Reporting(proxies []xds.Proxy, callers []xds.Identity, now time.Time) (reporting int, silent []Straggler, ago time.Duration) {
	for _, p := range proxies {
		if p.Proxyless || !slices.Contains(callers, p.Identity) {
			continue
		}
		ago = max(ago, now.Sub(latest(p)))
		switch {
		case now.Sub(p.Reported) <= patience:
			reporting++
		case silence(p, now) > 0:
			silent = append(silent, Straggler{p.ID, silence(p, now)})
		}
	}
	slices.SortFunc(silent, Straggler.compare)
	return reporting, silent, ago
}

// Lacking returns the proxies that have not taken what is published under a label,
// those first that are the longest silent.
func Lacking(proxies []xds.Proxy, label string, now time.Time) (lack []Straggler) {
	for _, p := range proxies {
		if p.Applied != label && p.Note == "" { // what is held back is given something older
			lack = append(lack, Straggler{p.ID, silence(p, now)})
		}
	}
	slices.SortFunc(lack, Straggler.compare)
	return lack
}

// silence is for how long a proxy has told nothing that ought to; 0: it is in time.
func silence(p xds.Proxy, now time.Time) time.Duration {
	if d := now.Sub(latest(p)); d > patience && !p.Proxyless {
		return d
	}
	return 0
}

// latest is when a proxy told last, or came.
func latest(p xds.Proxy) time.Time {
	if p.Reported.After(p.Connected) {
		return p.Reported
	}
	return p.Connected
}
