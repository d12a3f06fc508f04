// Package plan says what a change of the spec would do to live traffic. It is
// pure: two specs, with what proxies would get of each, and what was observed
// of the proxies give a [Plan]. The daemon writes it on pull requests, `plan`
// prints it on a laptop.
//
// The one rule: a plan tells nothing that it did not find in what proxies would
// get. Shares come of the routes, requests that move from asking both sides
// (translate.Explainer), drains from the listeners; risks are what these have
// in common with trouble. Its cost follows the change.
//
//	p := plan.New(plan.Side{Name: "main", Spec: was}, plan.Side{Name: "head", Spec: is}, plan.Observed{})
//	fmt.Println(p.Summary()) // 3 routes, 12 of 40 proxies
package plan
