package translate

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/meshwright/meshwright/schema"
)

// callee is a virtual service as its callers in one snapshot know it. What it
// takes to call it is worked out once for all that do so under one policy: what
// a proxy costs is then to take it over, a few pointers for each backend.
type callee struct {
	schema.BackendLink
	number  int // among all
	answers []answer
	notices []string
	names   []string // its own in lower case, then its short forms
}

// callees are those of a snapshot.
type callees struct {
	mu      sync.Mutex
	of      map[calleeKey]*callee
	reaches map[reachKey]*reach
	steps   map[*reach]*step // from those of snapshots before
}

type calleeKey struct {
	mesh    *schema.Mesh // the caller's
	service *schema.VirtualService
	policy  string // the link's
}

func newCallees() *callees {
	return &callees{of: map[calleeKey]*callee{}, reaches: map[reachKey]*reach{}, steps: map[*reach]*step{}}
}

// reach returns the one of a list of callees, which has yet to be worked out.
func (k *callees) reach(mesh *schema.Mesh, namespace string, byHost bool, called []*callee) *reach {
	numbers := make([]byte, 0, 4*len(called))
	for _, c := range called {
		numbers = binary.LittleEndian.AppendUint32(numbers, uint32(c.number))
	}
	key := reachKey{mesh, namespace, byHost, string(numbers)}
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.reaches[key]
	if r == nil {
		r = &reach{}
		k.reaches[key] = r
	}
	return r
}

// callees returns what is at the other ends of links, and tells what a person
// should know about them.
func (b *builder) callees(links []schema.BackendLink) []*callee {
	policies := map[*schema.ClientPolicy]string{nil: ""}
	out := make([]*callee, len(links))
	for i, link := range links {
		policy, ok := policies[link.Policy]
		if !ok {
			policy = b.text(link.Policy)
			policies[link.Policy] = policy
		}
		out[i] = b.callee(link, policy)
		b.notices = append(b.notices, out[i].notices...)
	}
	return out
}

func (b *builder) callee(link schema.BackendLink, policy string) *callee {
	k := calleeKey{b.mesh, link.Service, policy}
	b.known.mu.Lock()
	defer b.known.mu.Unlock()
	c := b.known.of[k]
	if c == nil {
		c = &callee{BackendLink: link, number: len(b.known.of), names: slices.Clip(append([]string{strings.ToLower(link.Service.AWSName)}, shortForms(link.Service)...))}
		c.notices = b.apart(func(b *builder) { c.answers = b.answers(link) }).notices
		b.known.of[k] = c
	}
	return c
}

// text is a value as the key of what is made from it.
func (b *builder) text(v any) string {
	text, err := json.Marshal(v)
	if err != nil && b.err == nil {
		b.err = err
	}
	return string(text)
}

// leads is where the routes of an answer lead, and what a proxy needs to go
// there.
type leads struct {
	once   sync.Once
	part   *part
	ways   []way
	acting acting
	digest string // of all that its virtual host is made from, but for its names
}

// lead adds the clusters of an answer's routes and returns where those lead. It
// is worked out once for all callers that can share it.
func (b *builder) lead(a answer) *leads {
	l := a.leads
	l.once.Do(func() { l.part = b.apart(func(b *builder) { l.work(b, a) }) })
	if b.take(l.part) {
		return l
	}
	own := &leads{}
	own.work(b, a)
	return own
}

func (l *leads) work(b *builder, a answer) {
	for i := range a.routes {
		l.ways = append(l.ways, b.way(a.link, a.routes[i]))
		l.acting |= actingOn(&a.routes[i])
	}
	l.digest = fmt.Sprintf("%s %s %d %v", a.digest, a.protocol, a.port, l.ways)
}
