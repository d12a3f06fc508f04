package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// steps rise, last, and wait for what can come.
func steps(res Resource, report func(path, what, fix string)) {
	r, ok := res.(*Rollout)
	if !ok {
		return
	}
	least := Percent(0)
	for i := range r.Spec.Steps {
		s, path := &r.Spec.Steps[i], fmt.Sprintf("spec.steps[%d]", i)
		if s.Weight != nil {
			switch w := *s.Weight; {
			case w < least:
				report(path+".weight", fmt.Sprintf("%s is less than the canary has already, which is %s", w, least), "write rising weights; back goes a rollout by itself, and at once")
			case w == least:
				report(path+".weight", fmt.Sprintf("the canary has %s already", w), "leave weight out to keep it, or write more")
			}
			least = max(least, *s.Weight)
		}
		switch {
		case s.Hold == 0 && s.Gate == nil:
			report(path+".hold", "the step lasts no time, so that nobody sees how it does", "write how long, as hold: 5m, or a gate")
		case r.Spec.ProgressDeadline > 0 && s.Hold >= r.Spec.ProgressDeadline:
			report(path+".hold", fmt.Sprintf("the step lasts %s, and fails after progressDeadline, which is %s", SpellSpan(s.Hold), SpellSpan(r.Spec.ProgressDeadline)), "write a longer progressDeadline, or a shorter hold")
		}
		if g := s.Gate; g != nil && g.Status == "" && !g.Approval {
			report(path+".gate.approval", "false is nothing to wait for", "write true, or remove the gate")
		}
	}
}

// windows can be read: when they open, where, and for how long.
func windows(res Resource, report func(path, what, fix string)) {
	r, ok := res.(*Rollout)
	if !ok {
		return
	}
	for i := range r.Spec.Windows {
		w, path := &r.Spec.Windows[i], fmt.Sprintf("spec.windows[%d]", i)
		if _, err := zoneOf(w.Timezone); err != nil {
			report(path+".timezone", quote(w.Timezone)+" is no time zone", "write a name as Europe/Berlin or UTC")
		}
		switch s, err := (&Window{Schedule: w.Schedule}).read(); {
		case err != nil:
			what, fix := misread(w.Schedule)
			report(path+".schedule", what, fix)
		case s.next(aMonday).IsZero():
			report(path+".schedule", quote(w.Schedule)+" never comes", "write a day that there is")
		}
		if w.Duration > farthest {
			report(path+".duration", fmt.Sprintf("%s is more than a year", SpellSpan(w.Duration)), "write a shorter one; for good, write hold")
		}
	}
	if h := r.Spec.Hold; h != nil && h.Until != "" && h.End().IsZero() {
		report("spec.hold.until", quote(h.Until)+" is no time that there is", "write it as 2026-12-24T18:00:00Z")
	}
}

// cronFields are the five of a schedule: what they are called, and what may
// stand there.
var cronFields = []struct{ name, may string }{
	{"minute", "0 to 59"},
	{"hour", "0 to 23"},
	{"day of the month", "1 to 31"},
	{"month", "1 to 12 or JAN to DEC"},
	{"day of the week", "0 (Sunday) to 6 or SUN to SAT"},
}

// misread says which field of a schedule is wrong. The parser's own words are
// about its code.
func misread(schedule string) (what, fix string) {
	parts := strings.Fields(schedule)
	if len(parts) != len(cronFields) {
		return fmt.Sprintf("%s has %s, and a schedule has 5", quote(schedule), Count(len(parts), "field")),
			`write minute, hour, day of the month, month and day of the week, as "0 9 * * MON-FRI" for nine o'clock on weekdays`
	}
	for i, part := range parts {
		alone := slices.Repeat([]string{"*"}, len(cronFields))
		alone[i] = part
		if _, err := fields.Parse(strings.Join(alone, " ")); err != nil {
			return fmt.Sprintf("%s is no %s", quote(part), cronFields[i].name),
				fmt.Sprintf(`write %s, a list (1,2), a range (1-5) or * for all; "0 9 * * MON-FRI" is nine o'clock on weekdays`, cronFields[i].may)
		}
	}
	return quote(schedule) + " is no schedule", `write five fields of cron, as "0 9 * * MON-FRI" for nine o'clock on weekdays`
}

// aMonday is a time to begin looking at schedules from. It is fixed, so that
// a tree has the same findings each day.
var aMonday = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// shutWindows keep everything forever. A tree of nothing but crowded windows
// would cost minutes: it is enough to look at some.
func shutWindows(t *linker, report func(res Resource, path, what, fix string)) {
	const most = 50
	looked := 0
	for _, d := range t.docs {
		r, ok := d.res.(*Rollout)
		if !ok || len(r.Spec.Windows) == 0 {
			continue
		}
		if looked++; looked > most {
			return
		}
		if o := r.Spec.Windows.Open(aMonday); !o.Open && o.Until.IsZero() {
			report(r, "spec.windows", "no time of a year is in them, so that no rollout ever begins", "write fewer deny windows, or more allow windows")
		}
	}
}

// judgements can be made, within the steps that they are about.
func judgements(res Resource, report func(path, what, fix string)) {
	r, ok := res.(*Rollout)
	if !ok || r.Spec.Analysis == nil {
		return
	}
	a := r.Policy().Analysis
	if r.Spec.Analysis.Interval != 0 && a.Interval < time.Second {
		report("spec.analysis.interval", fmt.Sprintf("%s is less than proxies tell, which is 1s", a.Interval), "write 1s at least, as 10s")
	}
	for i := range r.Spec.Steps {
		if hold := r.Spec.Steps[i].Hold; hold > 0 && hold < a.InitialDelay+a.Interval {
			report(fmt.Sprintf("spec.steps[%d].hold", i), fmt.Sprintf("the step is over after %s, before its first judgement, which is after %s", SpellSpan(hold), SpellSpan(a.InitialDelay+a.Interval)),
				"hold it longer, or write a shorter interval or initialDelay")
		}
	}
	names := map[string]int{}
	for i, p := range a.Prometheus {
		path := fmt.Sprintf("spec.analysis.prometheus[%d]", i)
		if first, twice := names[p.Name]; twice {
			report(path+".name", fmt.Sprintf("spec.analysis.prometheus[%d] is called %s already", first, quote(p.Name)), "rename one")
		} else {
			names[p.Name] = i
		}
		if p.Min != nil && p.Max != nil && *p.Min > *p.Max {
			report(path+".max", fmt.Sprintf("%v is less than min, which is %v", *p.Max, *p.Min), "write a range that a number can be in")
		}
	}
	if l := a.Latency; l != nil {
		least, of := time.Duration(0), ""
		for _, q := range []struct {
			name string
			most time.Duration
		}{{"p50", l.P50}, {"p95", l.P95}, {"p99", l.P99}} {
			if q.most > 0 && q.most < least {
				report("spec.analysis.latency."+q.name, fmt.Sprintf("%s is less than %s, which is %s", SpellSpan(q.most), of, SpellSpan(least)), "write rising bounds: p50, p95, p99")
			} else if q.most > 0 {
				least, of = q.most, q.name
			}
		}
	}
}

// fractions of one are no percents. Each of these is allowed, and as a percent
// means next to nothing.
func fractions(res Resource, report func(path, what, fix string)) {
	r, ok := res.(*Rollout)
	if !ok {
		return
	}
	small := func(path string, p *Percent, what string) {
		report(path, fmt.Sprintf("%s is in percent: %s", p, what), fmt.Sprintf("for %s %% write %[1]s", *p*100))
	}
	weight, mirror := r.Spec.most(func(s *RolloutStep) *Percent { return s.Weight }), r.Spec.most(func(s *RolloutStep) *Percent { return s.Mirror })
	for i := range r.Spec.Steps {
		s, path := &r.Spec.Steps[i], fmt.Sprintf("spec.steps[%d]", i)
		if s.Weight != nil && *s.Weight < one && weight <= one {
			small(path+".weight", s.Weight, fmt.Sprintf("the canary never has more than %s %% before it has everything", weight))
		}
		if s.Mirror != nil && *s.Mirror < one && mirror <= one {
			small(path+".mirror", s.Mirror, "next to nothing is copied")
		}
	}
	a := r.Policy().Analysis
	if a == nil {
		return
	}
	if s := a.SuccessRate; s != nil {
		if s.Min != nil && *s.Min > 0 && *s.Min <= one {
			small("spec.analysis.successRate.min", s.Min, "it passes when nearly all requests fail")
		}
		if p := s.NotWorseThanBase; p != nil && *p > 0 && *p <= one/20 && uint64(*p)*uint64(a.MinRequests) < uint64(Whole) {
			small("spec.analysis.successRate.notWorseThanBase", p, fmt.Sprintf("one failed request of %d (minRequests) is more", a.MinRequests))
		}
	}
	if l := a.Latency; l != nil && l.NotWorseThanBase != nil && *l.NotWorseThanBase > 0 && *l.NotWorseThanBase < one {
		small("spec.analysis.latency.notWorseThanBase", l.NotWorseThanBase, "latencies differ by more from one interval to the next")
	}
}

// one percent: who writes less may mean a part of 1.
const one = Whole / 100

// most is the largest of what steps say.
func (s *RolloutSpec) most(of func(*RolloutStep) *Percent) Percent {
	most := Percent(0)
	for i := range s.Steps {
		if p := of(&s.Steps[i]); p != nil {
			most = max(most, *p)
		}
	}
	return most
}

// unjudged rollouts go on whatever the canary does.
func unjudged(res Resource, report func(path, what, fix string)) {
	if r, ok := res.(*Rollout); ok && r.Spec.Analysis == nil && slices.ContainsFunc(r.Spec.Steps, func(s RolloutStep) bool { return s.Gate == nil }) {
		report("spec.analysis", "there is none, so that a step without a gate passes whatever the canary answers", "write at least successRate: {min: 99}")
	}
}

// sharedTargets: of two rollouts for one router, whose weights would hold?
func sharedTargets(t *linker, report func(res Resource, path, what, fix string)) {
	first := map[Ref]Ref{}
	for _, d := range t.docs {
		r, ok := d.res.(*Rollout)
		if !ok {
			continue
		}
		for i := range r.Spec.Targets {
			to, path := r.Spec.Targets[i].In(r.Ref.Namespace), fmt.Sprintf("spec.targets[%d]", i)
			switch other, taken := first[to]; {
			case !taken:
				first[to] = r.Ref
			case other == r.Ref:
				report(r, path, to.String()+" is a target already", "keep one")
			default:
				report(r, path, fmt.Sprintf("%s governs %s already", other, to), "keep one of them")
			}
		}
	}
}

// deafTargets and deafRoutes: a connection has neither headers nor a latency of
// its own, and no copies are made of it. Where nothing that is governed has
// requests, that is a mistake.
func deafTargets(t *linker, res Resource, report func(path, what, fix string)) {
	if r, ok := res.(*Rollout); ok {
		t.deaf(r, true, report)
	}
}

func deafRoutes(t *linker, res Resource, report func(path, what, fix string)) {
	r, ok := res.(*Rollout)
	if !ok {
		return
	}
	t.deaf(r, false, report)
	for i := range r.Spec.Targets {
		if to := r.Spec.Targets[i].In(r.Ref.Namespace); to.Kind == KindGatewayRoute && r.Spec.Affinity != nil {
			report("spec.affinity", "it does nothing on "+to.String()+", which sends each request to one virtual service or the other by chance",
				"change the weights of "+t.routerBehind(to)+" in place of the route, and make that the target; or remove affinity")
			break
		}
	}
}

// routerBehind names what a gateway route leads to and has weights, as far as
// there is such.
func (t *linker) routerBehind(route Ref) string {
	if g := t.spec.GatewayRoutes[route.Key]; g != nil {
		for _, target := range g.Targets() {
			if s := t.spec.TargetService(g, target); s != nil {
				if _, router := t.spec.ProviderOf(s); router != nil {
					return router.Ref.String()
				}
			}
		}
	}
	return "a VirtualRouter behind it"
}

func (t *linker) deaf(r *Rollout, all bool, report func(path, what, fix string)) {
	tcp, requests := t.tcpRoute(r)
	if tcp == "" || requests == all {
		return
	}
	deaf := func(path string) {
		report(path, "it does nothing on TCP, as "+tcp+" is", "use weights, and judge TCP by successRate or prometheus")
	}
	for i := range r.Spec.Steps {
		if r.Spec.Steps[i].Header != nil {
			deaf(fmt.Sprintf("spec.steps[%d].header", i))
		}
		if r.Spec.Steps[i].Mirror != nil {
			deaf(fmt.Sprintf("spec.steps[%d].mirror", i))
		}
	}
	if r.Spec.Affinity != nil {
		deaf("spec.affinity")
	}
	if r.Spec.Analysis != nil && r.Spec.Analysis.Latency != nil {
		deaf("spec.analysis.latency")
	}
}

// tcpRoute names a route that a rollout governs and that is TCP, empty if there
// is none, and says whether it governs others too, or what is not known.
func (t *linker) tcpRoute(r *Rollout) (name string, requests bool) {
	for i := range r.Spec.Targets {
		to := r.Spec.Targets[i].In(r.Ref.Namespace)
		router := t.spec.VirtualRouters[to.Key]
		if to.Kind != KindVirtualRouter || router == nil {
			requests = true
			continue
		}
		for j := range router.Spec.Routes {
			if route := &router.Spec.Routes[j]; route.TCPRoute == nil {
				requests = true
			} else {
				name = cmp.Or(name, part{to, "route " + route.Name}.String())
			}
		}
	}
	return name, requests
}
