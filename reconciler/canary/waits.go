package canary

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/schema"
)

// Wait is what of a resource is not served while a canary runs, and comes with
// its completion.
type Wait struct {
	Of     schema.Ref `json:"of"`
	Op     schema.Op  `json:"op"`
	Fields []string   `json:"fields,omitempty"` // of one that changes: as spec.listeners[0].timeout
}

// String is the wait as people read it.
func (w Wait) String() string {
	if len(w.Fields) == 0 {
		return fmt.Sprintf("%s (%s)", w.Of, w.Op)
	}
	return fmt.Sprintf("%s: %s", w.Of, strings.Join(w.Fields, ", "))
}

// mostFields are named of one resource.
const mostFields = 8

// Waits returns what of a change waits for the completion of its rollouts,
// sorted by resource: after a merge all of the governed routes but where they
// lead; of a pull request also all else that they do not need.
func Waits(base, target *schema.Spec, policies ...schema.RolloutSpec) []Wait {
	var mixes []Mix
	for _, p := range policies {
		mixes = append(mixes, Mix{Governed: EndsOf(base, target, p).Governed, Start: p.Start, Side: Between, Weight: schema.Whole})
	}
	if len(mixes) == 0 {
		return nil
	}
	var waits []Wait
	served := Blend(base, target, mixes)
	for _, c := range schema.Diff(served, target) {
		w := Wait{Of: c.Ref, Op: c.Op}
		if c.Op == schema.Changed {
			w.Fields = differences(served.Find(c.Ref), target.Find(c.Ref))
			if len(w.Fields) == 0 {
				continue
			}
		}
		waits = append(waits, w)
	}
	return slices.DeleteFunc(waits, func(w Wait) bool {
		// What the base alone needs goes, and a rollout does nothing itself.
		return w.Op == schema.Removed && mixes[0].Start != schema.StartPullRequest || w.Of.Kind == schema.KindRollout
	})
}

// differences names the fields in which two resources differ. Targets of a
// route that is blended are those of the other end by now, in other words.
func differences(a, b schema.Resource) []string {
	was, is := fieldsOf(a), fieldsOf(b)
	var found []string
	walk("", was, is, &found)
	if len(found) > mostFields {
		found = append(found[:mostFields], "…")
	}
	return found
}

// fieldsOf is a resource's labels and spec as a document has them; routes of a
// router without what a canary changes.
func fieldsOf(r schema.Resource) map[string]any {
	switch v := r.(type) {
	case *schema.VirtualRouter:
		c := *v
		c.Spec.Routes = nil
		for _, route := range v.Spec.Routes {
			if sends(route.Targets()) {
				setTargets(&route, nil)
			}
			route.Derived = nil
			c.Spec.Routes = append(c.Spec.Routes, route)
		}
		r = &c
	case *schema.GatewayRoute:
		c := *v
		c.Spec.Derived = nil
		for _, h := range []**schema.GatewayHTTPRoute{&c.Spec.HTTPRoute, &c.Spec.HTTP2Route} {
			if *h != nil {
				route := **h
				route.Action.Target = schema.GatewayTarget{}
				*h = &route
			}
		}
		if c.Spec.GRPCRoute != nil {
			route := *c.Spec.GRPCRoute
			route.Action.Target = schema.GatewayTarget{}
			c.Spec.GRPCRoute = &route
		}
		r = &c
	}
	var all map[string]any
	data, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		panic("canary: " + err.Error()) // plain structs: cannot happen
	}
	return map[string]any{"spec": all["Spec"], "metadata": map[string]any{"labels": all["labels"]}}
}

// sends reports whether a route sends anything anywhere: what does not is not
// blended.
func sends(targets []schema.WeightedTarget) bool {
	return slices.ContainsFunc(targets, func(t schema.WeightedTarget) bool { return t.Weight > 0 })
}

// walk adds the paths at which two values differ. Lists whose items have names,
// as routes, are compared by them.
func walk(path string, a, b any, found *[]string) {
	if reflect.DeepEqual(a, b) {
		return
	}
	if x, y, ok := maps2(a, b); ok {
		keys := map[string]bool{}
		for k := range x {
			keys[k] = true
		}
		for k := range y {
			keys[k] = true
		}
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			walk(strings.TrimPrefix(path+"."+k, "."), x[k], y[k], found)
		}
		return
	}
	x, isList := a.([]any)
	y, both := b.([]any)
	if isList && both {
		if n, m := named(x), named(y); n != nil && m != nil {
			keys := slices.Sorted(maps.Keys(n))
			for k := range m {
				if _, ok := n[k]; !ok {
					keys = append(keys, k)
				}
			}
			slices.Sort(keys)
			for _, k := range keys {
				walk(path+"["+k+"]", n[k], m[k], found)
			}
			return
		}
		if len(x) == len(y) {
			for i := range x {
				walk(fmt.Sprintf("%s[%d]", path, i), x[i], y[i], found)
			}
			return
		}
	}
	*found = append(*found, path)
}

func maps2(a, b any) (x, y map[string]any, ok bool) {
	x, ok = a.(map[string]any)
	if y, _ = b.(map[string]any); !ok || y == nil {
		return nil, nil, false
	}
	return x, y, true
}

// named indexes a list by its items' names; nil if one has none, or has
// another's.
func named(list []any) map[string]any {
	out := map[string]any{}
	for _, item := range list {
		m, _ := item.(map[string]any)
		name, ok := m["name"].(string)
		if _, twice := out[name]; !ok || twice {
			return nil
		}
		out[name] = item
	}
	return out
}
