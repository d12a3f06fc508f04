package canary

import (
	"cmp"
	"slices"

	"github.com/meshwright/meshwright/schema"
)

// share is how much of a route's requests a virtual node gets, relatively.
type share struct {
	Node   schema.Key
	Port   uint32 // its listener; 0: the one of the route's protocol
	Weight uint32
}

func (s share) compare(o share) int {
	return cmp.Or(s.Node.Compare(o.Node), cmp.Compare(s.Port, o.Port), cmp.Compare(s.Weight, o.Weight))
}

func total(shares []share) (sum uint64) {
	for _, s := range shares {
		sum += uint64(s.Weight)
	}
	return sum
}

// weightOf is that of the node and port of a share among others.
func weightOf(in []share, s share) uint64 {
	for _, o := range in {
		if o.Node == s.Node && o.Port == s.Port {
			return uint64(o.Weight)
		}
	}
	return 0
}

// sharesOf returns the targets of a route, each once.
func sharesOf(spec *schema.Spec, r *schema.VirtualRouter, route *schema.Route) []share {
	var out []share
	for _, t := range route.Targets() {
		if n := spec.TargetNode(r, t); n != nil {
			out = addShare(out, share{n.Ref.Key, t.Port, t.Weight})
		}
	}
	return out
}

func addShare(to []share, s share) []share {
	for i := range to {
		if to[i].Node == s.Node && to[i].Port == s.Port {
			to[i].Weight += s.Weight
			return to
		}
	}
	return append(to, s)
}

// behind returns the nodes that answer for a gateway route's target; those of a
// router by the weights of all of its routes.
func behind(spec *schema.Spec, to turn) []share {
	node, router := spec.ProviderOf(to.service)
	switch {
	case node != nil:
		return []share{{node.Ref.Key, to.port, 1}}
	case router != nil:
		var out []share
		for i := range router.Spec.Routes {
			for _, s := range sharesOf(spec, router, &router.Spec.Routes[i]) {
				out = addShare(out, s)
			}
		}
		return out
	}
	return nil
}

// grow adds shares to a score, as parts of their whole.
func grow(score map[schema.Key]float64, shares []share, sign float64) {
	whole := float64(total(shares))
	for _, s := range shares {
		if whole > 0 {
			score[s.Node] += sign * float64(s.Weight) / whole
		}
	}
}

// sameShares reports whether two lists send the same parts to the same nodes.
func sameShares(a, b []share) bool {
	wholeA, wholeB := total(a), total(b)
	for _, s := range union(a, b) {
		if weightOf(a, s)*wholeB != weightOf(b, s)*wholeA {
			return false
		}
	}
	return true
}

// union lists the nodes of both, each once, those first that gain by going from
// a to b: the order in which hashes fill the weights, so that who came to the
// canary stays with it as it grows.
func union(a, b []share) []share {
	var all []share
	for _, s := range slices.Concat(b, a) {
		all = addShare(all, share{s.Node, s.Port, 0})
	}
	slices.SortStableFunc(all, func(x, y share) int { return cmp.Compare(rank(a, b, x), rank(a, b, y)) })
	return all
}

func rank(a, b []share, s share) int {
	if gains(a, b, s) {
		return 0
	}
	return 1
}

// gains reports whether a node's part is more in b than in a.
func gains(a, b []share, s share) bool {
	return weightOf(b, s)*total(a) > weightOf(a, s)*total(b)
}

// blend returns (1−w)·a + w·b in hundredths of a percent, which sum to
// [schema.Whole]; both ends are as they were given. Bounds between the nodes are
// rounded, not the parts: so that of no two weights the greater gives the canary
// less, and no client that hashes to it leaves it.
func blend(a, b []share, w schema.Percent) []share {
	all := union(a, b)
	wholeA, wholeB := total(a), total(b)
	if w == 0 || w >= schema.Whole {
		exact := a
		if w > 0 {
			exact = b
		}
		for i := range all {
			all[i].Weight = uint32(weightOf(exact, all[i]))
		}
		return all
	}
	var sum, last uint64 // of the exact parts, times wholeA times wholeB
	for i := range all {
		sum += uint64(schema.Whole-w)*weightOf(a, all[i])*wholeB + uint64(w)*weightOf(b, all[i])*wholeA
		bound := (sum + wholeA*wholeB/2) / (wholeA * wholeB)
		all[i].Weight = uint32(bound - last)
		last = bound
	}
	return all
}

// portion shares a part of the requests out over the nodes that gain, by their
// weights at the end.
func portion(a, b []share, part schema.Percent) []share {
	var out []share
	whole := uint64(0)
	for _, s := range union(a, b) {
		if gains(a, b, s) {
			s.Weight = uint32(weightOf(b, s))
			out = append(out, s)
			whole += uint64(s.Weight)
		}
	}
	var sum, last uint64
	for i := range out {
		sum += uint64(out[i].Weight) * uint64(part)
		bound := (sum + whole/2) / whole
		out[i].Weight = uint32(bound - last)
		last = bound
	}
	return out
}
