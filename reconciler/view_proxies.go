package reconciler

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/xds"
)

// ProxyView is a connected proxy. Its commits are those of which it should have, or
// has, most: of one that was rolled back the base.
type ProxyView struct {
	xds.Proxy
	// Should and Has are Desired and Applied for people, with the rollouts on their
	// way: "4be1c0d..9a31f02 at 25 %".
	Should string `json:"should"`
	Has    string `json:"has"`
	// InStep: it has ACKed all that it should have.
	InStep bool `json:"inStep"`
}

// given is what a label stood for when it was published.
type given struct {
	label  string
	commit string // of which it has most
	words  string
}

// keepGiven is of how many labels it is known what they stood for: a proxy that is
// further behind is shown the label's commit.
const keepGiven = 100

// given is what proxies are given under a label.
func (s State) given(label string) given {
	g := given{label: label, words: report.Short(commitOf(label))}
	g.commit, _ = s.serving(commitOf(label))
	if g.commit != commitOf(label) {
		g.words = report.Short(g.commit)
		return g
	}
	var between, behind []string
	way := func(run *Run, base string) {
		text := fmt.Sprintf("%s..%s at %s %%", report.Short(base), report.Short(run.Target), run.Weight)
		if !slices.Contains(between, text) { // several move together
			between = append(between, text)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Rollouts)) {
		switch run := s.Rollouts[name].Run; {
		case !run.live() && !run.wentBack():
		case run.atBase():
			behind = append(behind, name+" at "+report.Short(run.Base))
		default:
			way(run, run.Base)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.Trials)) {
		if t := s.Trials[key]; t.live() && !t.atBase() {
			way(t, s.Taken)
		}
	}
	if len(between) > 0 {
		g.words = strings.Join(between, ", ")
	}
	if len(behind) > 0 {
		g.words += ", but " + strings.Join(behind, ", ")
	}
	return g
}

// proxyViews are proxies as people are told of them: by what their labels stood for.
func proxyViews(all []xds.Proxy, labels []given) []ProxyView {
	of := func(label string) given {
		if i := slices.IndexFunc(labels, func(g given) bool { return g.label == label }); i >= 0 {
			return labels[i]
		}
		return given{commit: commitOf(label), words: report.Short(commitOf(label))}
	}
	views := make([]ProxyView, len(all))
	for i, p := range all {
		should, has := of(p.Desired), of(p.Applied)
		v := ProxyView{Proxy: p, Should: should.words, Has: has.words, InStep: p.Applied != "" && p.Applied == p.Desired}
		v.Desired, v.Applied = should.commit, has.commit
		v.Types = make(map[xds.Type]xds.TypeStatus, len(p.Types))
		for t, status := range p.Types {
			status.Commit = of(status.Commit).commit
			if status.NACK != nil {
				no := *status.NACK
				no.Commit = commitOf(no.Commit)
				status.NACK = &no
			}
			v.Types[t] = status
		}
		views[i] = v
	}
	return views
}
