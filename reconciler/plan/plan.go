package plan

import (
	"time"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Plan is what would change. Its JSON form is public: fields are added, never
// renamed. Every list is sorted, and there and empty rather than missing.
type Plan struct {
	From      string     `json:"from"` // commit, or what people call the side
	To        string     `json:"to"`
	Resources []Resource `json:"resources"`
	Routes    []Route    `json:"routes"`
	Proxies   Proxies    `json:"proxies"`
	Drains    []Drain    `json:"drains"`
	Moves     []Move     `json:"moves"`
	Rollouts  []Rollout  `json:"rollouts"` // by which routes move in steps
	Risks     []Risk     `json:"risks"`
	Graph     Graph      `json:"graph"`
	// Around is what the plan depends on beside what it changes: see [Plan.Touches].
	Around []schema.Ref `json:"around"`
}

// Resource is one resource that the sides do not share.
type Resource struct {
	schema.Change
	Pos schema.Pos `json:"pos"` // where it is defined; of what is removed, where it was
	// Fields are those of a changed resource that differ.
	Fields []Field `json:"fields,omitempty"`
}

// Field is one field with another value; Before or After is empty where it is
// not set.
type Field struct {
	Path   string     `json:"path"`
	Before string     `json:"before,omitempty"`
	After  string     `json:"after,omitempty"`
	Pos    schema.Pos `json:"pos"` // in the new file, or in the old where it is gone
}

// Route is a route of a virtual router, or a gateway route, whose traffic or
// behaviour would differ.
type Route struct {
	// Owner is a VirtualRouter or a GatewayRoute; or a VirtualService, where the
	// requests change hands because another router or node provides it.
	Owner schema.Ref `json:"owner"`
	Name  string     `json:"name"`  // of the route in its router
	Match string     `json:"match"` // what it asks for, in words; of a removed route, what it asked for
	Op    schema.Op  `json:"op"`
	// Before and After are who gets the requests that match, by node; empty on
	// the side that has no such route. A gateway route leads to a virtual service.
	Before []Share `json:"before"`
	After  []Share `json:"after"`
	// Other says what else changes of it, a phrase each: "timeout 15s → 2s".
	Other []string `json:"other,omitempty"`
}

// Share is how much of a route's traffic a target gets.
type Share struct {
	Target  schema.Ref `json:"target"`
	Port    uint32     `json:"port,omitempty"`
	Percent float64    `json:"percent"`
}

// Proxies counts whom the change reaches.
type Proxies struct {
	Touched   int `json:"touched"`   // connected proxies that would be sent something
	Connected int `json:"connected"` // proxies, touched or not
	// Left are connected proxies of a node or gateway that goes: they are sent
	// nothing any more.
	Left       int       `json:"left,omitempty"`
	Identities []Touched `json:"identities"`
}

// Touched is one virtual node or gateway whose proxies would be sent something.
type Touched struct {
	Identity  xds.Identity `json:"identity"`
	Connected int          `json:"connected"`
	// Resources are the xDS resources that differ, as "TYPE NAME".
	Resources []string `json:"resources"`
}

// Drain is a listener that would close or be made anew: Envoy gives its
// connections the drain time (600 s by default) and then ends them.
type Drain struct {
	Identity xds.Identity `json:"identity"`
	Listener string       `json:"listener"`
	Why      string       `json:"why"`
}

// Move is a kind of request that another route would win.
type Move struct {
	From    xds.Identity `json:"from"`    // whose proxies decide it
	Request string       `json:"request"` // an example: "GET http://appserver/api/x"
	Before  string       `json:"before"`  // route, as ref and name; empty: none matched
	After   string       `json:"after"`   // empty: none matches any more
}

// Risk is something that people should know before they merge.
type Risk struct {
	Code  string     `json:"code"` // stable: "all-at-once", "tls-off"
	Level Level      `json:"level"`
	Ref   schema.Ref `json:"ref"`
	Pos   schema.Pos `json:"pos"`
	Text  string     `json:"text"` // what may happen, and what to do instead
}

// Level is how much a risk matters.
type Level string

// The levels of a [Risk].
const (
	High Level = "high" // requests are likely to fail or to be exposed
	Low  Level = "low"  // worth a look
)

// Graph is the touched part of the mesh: what changes, the nearest of what leads
// requests there, and where they go on to.
type Graph struct {
	Nodes []GraphNode `json:"nodes"`
	Edges []GraphEdge `json:"edges"`
	// Omitted counts the resources beside these that there was no room for; what
	// leads to those is not looked for.
	Omitted int `json:"omitted,omitempty"`
}

// GraphNode is a resource in the graph; Op is empty where it does not change.
type GraphNode struct {
	Ref schema.Ref `json:"ref"`
	Op  schema.Op  `json:"op,omitempty"`
}

// GraphEdge leads from who sends requests to who gets them. The percents are
// of a weighted route; -1 where there is no such edge on that side.
type GraphEdge struct {
	From   schema.Ref `json:"from"`
	To     schema.Ref `json:"to"`
	Before float64    `json:"before"`
	After  float64    `json:"after"`
}

// Observed is what is known of the living mesh; empty on a laptop.
type Observed struct {
	Proxies []xds.Proxy
	// Traffic is what virtual nodes got lately, over all proxies that call them,
	// as these report it; empty when nothing is known.
	Traffic map[schema.Ref]xds.Traffic
	// Rollouts are those by which something is on its way, or has failed.
	Rollouts []Standing
	// Completed are the contents (see [canary.Content]) that were completed lately, by
	// the name of the Rollout: a change that leads to one of them takes no steps.
	Completed map[string][]string
	Now       time.Time // of the wall's clock; zero: it is not known
}
