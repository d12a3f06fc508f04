package reconciler_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// reports are proxies that tell of the node web.
type reports struct {
	good, bad       xds.Traffic // what they tell of a window before and after
	burst           bool        // good was over a while before
	since           time.Time   // of the change for the worse; zero: none
	proxies, silent int
	asked           []string
}

func (r *reports) Traffic(_ xds.State, from, to time.Time) (map[schema.Ref]xds.Traffic, int, int) {
	r.asked = append(r.asked, to.Sub(from).String())
	t := r.good
	switch {
	case !r.since.IsZero() && !from.Before(r.since):
		t = r.bad
	case r.burst && time.Since(to) < 2*time.Minute && to.Sub(from) < 5*time.Minute:
		t = xds.Traffic{}
	}
	return map[schema.Ref]xds.Traffic{{Kind: schema.KindVirtualNode, Key: schema.Key{Namespace: "shop", Name: "web"}}: t}, r.proxies, r.proxies - r.silent
}

// TestHealthAfterAMerge: the traffic of what a change touches is compared once,
// over the window after it is on all proxies; the comment has it as its last word.
func TestHealthAfterAMerge(t *testing.T) {
	for name, c := range map[string]struct {
		bad   xds.Traffic
		want  string
		burst bool
	}{
		"as_before": {xds.Traffic{Requests: 1000}, "success: 100.00 % of 1000 requests succeed (100.00 % before)", false},
		"worse":     {xds.Traffic{Requests: 1000, Errors: 70}, "failure: success rate fell from 100.00 % to 93.00 % of 1000 requests", false},
		"fewer":     {xds.Traffic{Requests: 501, Errors: 501}, "failure: success rate fell from 100.00 % to 0.00 % of 501 requests", false},
		"vanished":  {xds.Traffic{Requests: 2}, "failure: requests fell from 5000 or more to 2 in 60 s", false},
		"silence":   {xds.Traffic{Requests: 12}, "success: too little traffic to compare: 12 requests in 60 s", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				r := &reports{good: xds.Traffic{Requests: 5000}, bad: c.bad, burst: c.burst, proxies: 3}
				cfg, wake := w.config()
				cfg.Traffic = r.Traffic
				w.branch.push("good one")
				d := run(t, cfg, wake)
				defer d.end(t)
				after(10 * time.Minute)
				w.open(7, map[string]string{"mesh.txt": "good two"})
				d.Poke()
				after(time.Minute)
				r.asked = nil
				merged := w.merge(t, 7)
				r.since = time.Now()
				d.Poke()
				after(30 * time.Second)
				w.stands(t, merged, "health", ": ")
				after(10 * time.Minute)
				w.stands(t, merged, "health", c.want)
				if body := w.verdict(7); !strings.Contains(body, "health") {
					t.Errorf("the last word is %s", body)
				}
				expect(t, "windows", r.asked, "5m0s", "1m0s", "1m0s", "1m0s", "1m0s")
			})
		})
	}
}

// TestDiverged: while proxies have something else than the branch, health says
// so, on transitions only.
func TestDiverged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		good := w.branch.push("good one")
		d := w.start(t)
		defer d.end(t)
		after(time.Minute)
		w.stands(t, good, "health", ": ")
		w.proxies.set(func(p *fakeProxies) { p.refused = good; p.answer() })
		after(time.Minute)
		w.stands(t, good, "health", "failure: diverged: web-1 refused listeners: no such filter")
		w.proxies.set(func(p *fakeProxies) { p.refused = ""; p.answer() })
		after(5 * time.Minute)
		w.stands(t, good, "health", "success: converged: 3/3 proxies in 140 ms")
		bad := w.lands(d, "bad two", 5*time.Minute)
		w.stands(t, bad, "health", "failure: diverged: serving "+good[:7])
	})
}
