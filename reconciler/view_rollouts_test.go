package reconciler

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/reconciler/canary"
)

// What ends before its first step has had none, and what ends after it keeps it.
func TestStepsAsPeopleCountThem(t *testing.T) {
	for name, c := range map[string]struct {
		phases []canary.Phase
		want   []int
	}{
		"waits":       {[]canary.Phase{canary.Waiting}, []int{0}},
		"never began": {[]canary.Phase{canary.Waiting, canary.Superseded}, []int{0, 0}},
		"aborted":     {[]canary.Phase{canary.Waiting, canary.RollingBack, canary.RolledBack}, []int{0, 0, 0}},
		"began":       {[]canary.Phase{canary.Waiting, canary.Moving, canary.Watching, canary.Superseded}, []int{0, 1, 1, 1}},
	} {
		st := canary.State{Steps: 2}
		for _, p := range c.phases {
			st.Phase = p
			st.History = append(st.History, canary.Event{Phase: p})
		}
		v := rolloutView(st, time.Time{})
		got := []int{}
		for _, e := range v.History {
			got = append(got, e.Step)
		}
		if diff := cmp.Diff(c.want, got); diff != "" || v.Step != c.want[len(c.want)-1] {
			t.Errorf("%s: at %d (-want +got):\n%s", name, v.Step, diff)
		}
	}
}
