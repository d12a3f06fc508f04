package main

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/demo"
	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/schema"
)

// demoSpec loads the demo's specs with another router, or with their own.
func demoSpec(t *testing.T, router func() (string, error)) *schema.Spec {
	t.Helper()
	files, err := demo.Repository()
	must(t, err)
	if router != nil {
		text, err := router()
		must(t, err)
		files[demo.RouterFile], err = demo.WithRouter(files[demo.RouterFile], text)
		must(t, err)
	}
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	r, err := newLoad(nil)(t.Context(), tree)
	must(t, err)
	if r.Spec == nil {
		t.Fatal(r.Diagnostics)
	}
	return r.Spec
}

func TestExplained(t *testing.T) {
	served := reconciler.Side{Commit: "c1", Spec: demoSpec(t, nil)}
	to := reconciler.Side{Commit: "c2", Spec: demoSpec(t, demo.Half)}
	for _, c := range []struct {
		name   string
		served reconciler.Side
		args   []string
		want   []string // in this order
	}{
		{"by_name", served, []string{"yelb-ui", "yelb-appserver:4567", "/api/x"}, []string{"before:\n", "100", "\nafter:\n", "50"}},
		{"by_namespace_and_method", served, []string{"yelb/yelb-ui", "yelb-appserver:4567", "POST", "/api/x"}, []string{"before:\nPOST", "\nafter:\nPOST"}},
		{"by_identity", served, []string{"mesh/yelb/virtualNode/yelb-ui-virtual-node", "yelb-appserver:4567", "/"}, []string{"before:\n", "after:\n"}},
		{"the_same", served, []string{"yelb-appserver", "yelb-db:5432", "/"}, []string{"before and after:\n"}},
		{"nobody", served, []string{"nobody", "yelb-db:5432", "/"}, []string{"before and after:\nno virtual node or gateway is called nobody"}},
		{"nothing_served_yet", reconciler.Side{}, []string{"yelb-ui", "yelb-appserver:4567", "/"}, []string{"before:\nno virtual node or gateway is called yelb-ui", "after:\nGET"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := explained(c.served, to, c.args)
			rest := got
			for _, want := range c.want {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("no %q, in this order, in\n%s", want, got)
				}
				rest = after
			}
		})
	}
}

// TestPlannedWithNothingServed: the first good spec may be a pull request's.
func TestPlannedWithNothingServed(t *testing.T) {
	p := planned(reconciler.Side{}, reconciler.Side{Commit: "c2", Spec: demoSpec(t, nil)}, plan.Observed{})
	if len(p.Resources) != 11 || p.Resources[0].Op != schema.Added {
		t.Errorf("%d resources: %+v", len(p.Resources), p.Resources)
	}
}
