package canary

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Verdict is what an interval of evidence says.
type Verdict string

// The verdicts. All but the second keep a step from passing, and only Fail and
// Unmeasured, often enough, end it.
const (
	NotYet       Verdict = ""
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Insufficient Verdict = "insufficient" // too few requests to say
	Unmeasured   Verdict = "unmeasured"   // a number cannot be had
	Silence      Verdict = "silence"      // a proxy does not tell
)

// longestTick is how long traffic may wait to be counted; the shell remembers
// it a few times longer.
const longestTick = 5 * time.Minute

func tick(a *schema.Analysis) time.Duration {
	return max(time.Millisecond, min(a.Interval, longestTick))
}

// judge takes in the traffic since the last look, and judges when an interval is
// over. An interval with too few requests goes on, if the policy holds for it.
func (m *machine) judge() {
	a, l := m.policy.Analysis, &m.s.Live
	if a == nil || m.now.Mono < l.Read+tick(a) {
		return
	}
	m.takeIn(a)
	if m.now.Mono >= l.Judged+a.Interval {
		m.rule(m.verdict(a, l.Canary, l.Base))
	}
}

// takeIn counts what was seen since the last time.
func (m *machine) takeIn(a *schema.Analysis) {
	l := &m.s.Live
	if m.now.Mono <= l.Read {
		return
	}
	l.Read = m.now.Mono
	l.Canary, l.Base = plus(l.Canary, m.seen.Canary), plus(l.Base, m.seen.Base)
	l.Sum, l.SumBase = plus(l.Sum, m.seen.Canary), plus(l.SumBase, m.seen.Base)
	l.Proxies = m.seen.Reporting
	l.Numbers = nil
	for _, rule := range a.Prometheus {
		if n, ok := m.seen.Numbers[rule.Name]; ok {
			l.Numbers = append(l.Numbers, n)
		}
	}
}

// rule has a verdict on the interval up to now take effect.
func (m *machine) rule(v Verdict, why string) {
	a, l := m.policy.Analysis, &m.s.Live
	l.Verdict, l.Why, l.Covered = v, why, m.seen.Heard
	m.s.Verdicts = maps.Clone(m.s.Verdicts)
	if m.s.Verdicts == nil {
		m.s.Verdicts = map[Verdict]uint64{}
	}
	m.s.Verdicts[v]++
	if v == Insufficient {
		return // the interval goes on
	}
	l.Before, l.BeforeBase = l.Canary, l.Base
	l.Judged, l.Canary, l.Base = m.now.Mono, xds.Traffic{}, xds.Traffic{}
	if v != Unmeasured {
		m.s.Erring = 0
	}
	switch {
	case v == Fail:
		l.Bad = why
		if m.s.Failing++; m.s.Failing >= a.FailureLimit && !a.DryRun {
			m.fail(why + lastOf(m.s.Failing, "interval"))
		}
	case a.DryRun:
	case v == Unmeasured:
		if m.s.Erring++; m.s.Erring >= a.ErrorLimit {
			m.fail(why + lastOf(m.s.Erring, "measurement"))
		}
	}
}

// lastOf says of what failed several times that its numbers are the last one's.
func lastOf(n uint32, what string) string {
	if n < 2 {
		return ""
	}
	return ", in the last of " + schema.Count(int(n), "failed "+what)
}

// plus adds traffic; neither is changed.
func plus(a, b xds.Traffic) xds.Traffic {
	window := a.Window + b.Window
	if a.Requests == 0 && len(a.Latency.Counts) == 0 {
		b.Window = window
		return b
	}
	a.Latency = a.Latency.Clone()
	a.Add(b)
	a.Window = window
	return a
}

// verdict judges an interval. What is bad is bad, whoever is silent; what is
// good has to be complete.
func (m *machine) verdict(a *schema.Analysis, canary, base xds.Traffic) (Verdict, string) {
	numbers, why := m.numbers(a)
	if numbers == Fail {
		return Fail, why
	}
	enough := canary.Requests >= least(a)
	traffic, because := Pass, ""
	if enough {
		traffic, because = compare(a, canary, base, m.s.Weight >= schema.Whole)
	}
	switch {
	case traffic == Fail:
		return Fail, because
	case len(m.seen.Silent) > 0 || m.seen.Reporting == 0:
		return Silence, m.silence()
	case numbers == Unmeasured:
		return Unmeasured, why
	case traffic == Unmeasured, traffic == Insufficient:
		return traffic, because
	case enough:
		return Pass, ""
	}
	few := few(a, canary)
	switch a.OnInsufficient {
	case schema.InsufficientPass:
		return Pass, ""
	case schema.InsufficientFail:
		return Fail, "only " + few
	}
	return Insufficient, few
}

// least is how many requests it takes to judge.
func least(a *schema.Analysis) uint64 { return uint64(max(a.MinRequests, 1)) }

func few(a *schema.Analysis, t xds.Traffic) string {
	return fmt.Sprintf("%s of %s", count(t.Requests), requests(least(a)))
}

func (m *machine) silence() string {
	switch n := len(m.seen.Silent); {
	case m.seen.Reporting == 0:
		return "no proxy tells of traffic"
	case n == 1:
		return "waits for " + m.seen.Silent[0].String()
	default:
		return fmt.Sprintf("%d of %d proxies do not tell of traffic: waits for %s", n, n+m.seen.Reporting, m.seen.Silent[0])
	}
}

// numbers holds Prometheus's to their bounds. What was not asked or not
// answered is not measured.
func (m *machine) numbers(a *schema.Analysis) (Verdict, string) {
	verdict, why := Pass, ""
	for _, rule := range a.Prometheus {
		n, ok := m.seen.Numbers[rule.Name]
		switch {
		case !ok:
			verdict, why = Unmeasured, rule.Name+" was not measured"
		case n.Error != "":
			verdict, why = Unmeasured, rule.Name+" cannot be measured: "+n.Error
		case n.Value != n.Value: // NaN
			verdict, why = Unmeasured, rule.Name+" is no number"
		case rule.Min != nil && n.Value < *rule.Min:
			return Fail, fmt.Sprintf("%s is %.4g, below %.4g", rule.Name, n.Value, *rule.Min)
		case rule.Max != nil && n.Value > *rule.Max:
			return Fail, fmt.Sprintf("%s is %.4g, above %.4g", rule.Name, n.Value, *rule.Max)
		}
	}
	return verdict, why
}

// compare holds the canary's traffic to its bounds, and to the base's in the
// same interval. Where the base gets nothing any more, only its own bounds
// count.
func compare(a *schema.Analysis, canary, base xds.Traffic, alone bool) (Verdict, string) {
	var bad, missing []string
	comparable := base.Requests >= least(a)
	needsBase := a.SuccessRate != nil && a.SuccessRate.NotWorseThanBase != nil || a.Latency != nil && a.Latency.NotWorseThanBase != nil
	if r := a.SuccessRate; r != nil {
		is := success(canary)
		if r.Min != nil && canary.Errors*uint64(schema.Whole) > canary.Requests*uint64(schema.Whole-*r.Min) {
			bad = append(bad, fmt.Sprintf("success rate %s of %s, below %s", rate(canary.Requests, canary.Errors), requests(canary.Requests), percent(*r.Min)))
		}
		if r.NotWorseThanBase != nil && comparable && is < success(base)-float64(*r.NotWorseThanBase)/100-1e-9 {
			bad = append(bad, fmt.Sprintf("success rate %s, of the base %s: more than %s points worse", rate(canary.Requests, canary.Errors), rate(base.Requests, base.Errors), *r.NotWorseThanBase))
		}
	}
	if lat := a.Latency; lat != nil {
		for _, q := range lat.Quantiles() {
			is, ok := canary.Latency.Quantile(q.Of)
			if !ok {
				missing = append(missing, q.Name+" of the canary")
				continue
			}
			if q.Most > 0 && is > q.Most {
				bad = append(bad, fmt.Sprintf("%s is %s, above %s", q.Name, millis(is), millis(q.Most)))
			}
			if worse := lat.NotWorseThanBase; worse != nil && comparable {
				was, ok := base.Latency.Quantile(q.Of)
				if !ok {
					missing = append(missing, q.Name+" of the base")
				} else if float64(is) > float64(was)*(1+worse.Fraction()) {
					bad = append(bad, fmt.Sprintf("%s is %s, of the base %s: more than %s longer", q.Name, millis(is), millis(was), percent(*worse)))
				}
			}
		}
	}
	switch {
	case len(bad) > 0:
		return Fail, strings.Join(bad, "; ")
	case len(missing) > 0:
		return Unmeasured, "there is no " + strings.Join(missing, ", no ")
	case needsBase && !comparable && !alone:
		return Insufficient, fmt.Sprintf("%s of %s to the base, to compare with", count(base.Requests), requests(least(a)))
	}
	return Pass, ""
}

// success is the rate in percent.
func success(t xds.Traffic) float64 {
	rate, _ := t.SuccessRate()
	return rate
}
