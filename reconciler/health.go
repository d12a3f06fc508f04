package reconciler

import (
	"fmt"
	"math"
	"time"

	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// Traffic is what nodes got before and after a change, over all proxies that
// call them and report.
type Traffic struct {
	Before, After map[schema.Ref]xds.Traffic
	// Lately is what they got in spans just before the change, each as long as
	// span has it: steady traffic is in all of them.
	Lately    []map[schema.Ref]xds.Traffic
	Proxies   int // connected
	Reporting int // of them
}

// What counts as a difference. The figures of a minute vary; a change is blamed
// for what chance does about once in a thousand minutes. Latencies vary with what
// else the machines do, too: a p99 has to rise by what people would notice.
const (
	enough = 50 // requests on each side: fewer are not compared
	sigmas = 3  // of the statistical error
	excess = 5  // errors more than there were to be expected
	slower = 1.25
	notice = 20 * time.Millisecond
	fell   = 10 // times fewer requests than usual: they all but vanished
	spans  = 3  // in which traffic is steady
)

// span is how long each of the spans before a change is to which a window after
// it is compared: as long, where they have room in what is looked at.
func span(window time.Duration) time.Duration { return min(window, before/spans) }

// health compares the traffic of the nodes that a change touches: all of it,
// since requests may go to other nodes now, then each node's. The window is that
// of the traffic after.
func health(nodes []schema.Ref, t Traffic, window time.Duration) sources.Status {
	var before, after xds.Traffic
	for _, n := range nodes {
		before.Add(t.Before[n])
		after.Add(t.After[n])
	}
	silent := ""
	if missing := t.Proxies - t.Reporting; missing > 0 {
		silent = fmt.Sprintf("; no reports from %d of %d proxies", missing, t.Proxies)
	}
	if worse := vanished(nodes, t, after.Requests, window); worse != "" {
		return sources.Status{State: sources.Failure, Description: report.Clamp(worse + silent)}
	}
	if least := min(before.Requests, after.Requests); least < enough {
		where := fmt.Sprintf("in %.0f s", window.Seconds())
		if before.Requests < after.Requests {
			where = "before"
		}
		return sources.Status{State: sources.Success, Description: report.Clamp(fmt.Sprintf("too little traffic to compare: %d requests %s%s", least, where, silent))}
	}
	if worse := worsened(before, after); worse != "" {
		return sources.Status{State: sources.Failure, Description: report.Clamp(worse + silent)}
	}
	for _, n := range nodes {
		b, a := t.Before[n], t.After[n]
		if min(b.Requests, a.Requests) < enough {
			continue
		}
		if worse := worsened(b, a); worse != "" {
			return sources.Status{State: sources.Failure, Description: report.Clamp(worse + ": " + n.String() + silent)}
		}
	}
	rate, _ := after.SuccessRate()
	was, _ := before.SuccessRate()
	text := fmt.Sprintf("%s of %d requests succeed (%s before)", percent(rate), after.Requests, percent(was))
	if p99, ok := after.Latency.Quantile(0.99); ok {
		text += ", p99 " + report.Took(p99)
		if old, ok := before.Latency.Quantile(0.99); ok {
			text += " (" + report.Took(old) + ")"
		}
	}
	return sources.Status{State: sources.Success, Description: report.Clamp(text + silent)}
}

// vanished says that steady traffic is all but gone: who asks where nobody
// listens any more, or where no route leads, is in no count of errors. It is of
// all nodes together, for a change may well lead requests from one to another.
// Empty: it is there, or was not steady; a burst that is over is no failure.
func vanished(nodes []schema.Ref, t Traffic, now uint64, window time.Duration) string {
	if len(t.Lately) == 0 || t.Reporting == 0 || window < spans*xds.ReportInterval {
		return "" // nobody tells of it, or one late report would look the same
	}
	least := uint64(math.MaxUint64)
	for _, got := range t.Lately {
		var sum uint64
		for _, n := range nodes {
			sum += got[n].Requests
		}
		least = min(least, sum)
	}
	usual := float64(least) * float64(window) / float64(span(window))
	if usual < enough || float64(now)*fell > usual {
		return ""
	}
	return fmt.Sprintf("requests fell from %.0f or more to %d in %.0f s", usual, now, window.Seconds())
}

// worsened says what got worse, and by how much; empty: nothing beyond noise.
func worsened(before, after xds.Traffic) string {
	n0, n1 := float64(before.Requests), float64(after.Requests)
	bad0, bad1 := float64(before.Errors)/n0, float64(after.Errors)/n1
	all := (float64(before.Errors) + float64(after.Errors)) / (n0 + n1)
	noise := math.Sqrt(all * (1 - all) * (1/n0 + 1/n1))
	if bad1-bad0 > sigmas*noise && float64(after.Errors)-n1*bad0 >= excess {
		return fmt.Sprintf("success rate fell from %s to %s of %d requests", percent(100*(1-bad0)), percent(100*(1-bad1)), after.Requests)
	}
	// A quantile of a sample is itself between two quantiles: the p99 has risen
	// when these spans lie apart.
	span := func(n float64) float64 { return sigmas * math.Sqrt(0.99*0.01/n) }
	high, _ := before.Latency.Quantile(math.Min(1, 0.99+span(n0)))
	low, _ := after.Latency.Quantile(math.Max(0, 0.99-span(n1)))
	old, known := before.Latency.Quantile(0.99)
	p99, ok := after.Latency.Quantile(0.99)
	if known && ok && low > high && float64(p99) > slower*float64(old) && p99-old >= notice {
		return fmt.Sprintf("p99 rose from %s to %s over %d requests", report.Took(old), report.Took(p99), after.Requests)
	}
	return ""
}

// percent never says 100 % of what is less.
func percent(p float64) string {
	return fmt.Sprintf("%.2f %%", math.Floor(p*100)/100)
}
