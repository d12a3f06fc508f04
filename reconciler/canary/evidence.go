package canary

import (
	"slices"
	"time"

	"github.com/meshwright/meshwright/xds"
)

// patience is for how long a proxy may say nothing: it reports each
// [xds.ReportInterval], and one report may be late, and one lost.
const patience = 3 * xds.ReportInterval

// Reporting counts the callers' proxies that tell of traffic, and names those
// that ought to and do not, sorted. One that has just connected is neither yet;
// gRPC clients without an Envoy tell nothing ever, and are not asked.
func Reporting(proxies []xds.Proxy, callers []xds.Identity, now time.Time) (reporting int, silent []string) {
	for _, p := range proxies {
		switch {
		case p.Proxyless || !slices.Contains(callers, p.Identity):
		case now.Sub(p.Reported) <= patience:
			reporting++
		case now.Sub(p.Connected) > patience:
			silent = append(silent, p.ID)
		}
	}
	slices.Sort(silent)
	return reporting, silent
}
