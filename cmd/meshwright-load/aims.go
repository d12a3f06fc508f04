package main

import "fmt"

// Verdict is how an aim stands: the figure, as a multiple of the peer's if the
// aim is one.
type Verdict struct {
	Aim
	Is  float64
	Met bool
}

// verdicts are those of the row's aims that were measured.
func (res *Result) verdicts() []Verdict {
	var list []Verdict
	for _, a := range res.Aims {
		is, ok := res.figure(a.What, "meshwright")
		if a.Of != "" && ok {
			var theirs float64
			if theirs, ok = res.figure(a.What, a.Of); ok {
				is /= theirs
			}
		}
		if ok {
			list = append(list, Verdict{a, is, is <= a.AtMost})
		}
	}
	return list
}

// Limit is the aim in words.
func (v Verdict) Limit() string {
	if v.Of == "" {
		return fmt.Sprintf("%s at most %g", v.What, v.AtMost)
	}
	return fmt.Sprintf("%s at most %g times %s", v.What, v.AtMost, v.Of)
}

// Word is what became of it.
func (v Verdict) Word() string {
	if v.Met {
		return "met"
	}
	return "MISSED"
}

// figure is a number that aims are about.
func (res *Result) figure(what, who string) (v float64, ok bool) {
	switch what {
	case "cold s":
		return res.Cold.Took.Seconds(), true
	case "warm s":
		return res.Warm.Took.Seconds(), true
	}
	r := res.run(who)
	if r == nil {
		return 0, false
	}
	switch what {
	case "storm":
		return r.Storm.Last.Seconds(), true
	case "memory":
		return float64(r.Memory), true
	case "last ACK":
		return r.middle().Known.Seconds(), true
	case "ms beside the wire": // from when the repository has the commit
		m := r.middle()
		return ms(m.Last - m.Stages.Wire), true
	case "untouched":
		return float64(r.untouched()), true
	}
	return 0, false
}

// untouched are the streams that got something at any change though nothing
// changed for them.
func (r Run) untouched() (n int) {
	for _, c := range r.Changes {
		n += c.Untouched
	}
	return n
}
