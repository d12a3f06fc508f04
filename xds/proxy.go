package xds

import (
	"fmt"
	"time"
)

// State is a desired state as the server sees it: at one commit, the resources
// of every profile. It is immutable; the translator makes the next one from it.
type State interface {
	// Commit the state was made from.
	Commit() string
	// Resources returns what proxies of a profile should have. It is safe for
	// concurrent use and cheap when nothing that the profile depends on has
	// changed since the state before. An identity that the spec does not have
	// is an error (see UnknownIdentity).
	Resources(Profile) (*Resources, error)
}

// UnknownIdentity is the error of [State.Resources] for an identity without a
// virtual node or gateway in the spec.
type UnknownIdentity struct{ Identity Identity }

func (e UnknownIdentity) Error() string {
	return "no " + string(e.Identity.Kind) + " for " + e.Identity.String() + " in the spec"
}

// Proxy is what one connected Envoy, or gRPC client, told us.
type Proxy struct {
	ID        string    `json:"id"` // node.id
	Identity  Identity  `json:"identity"`
	Explicit  bool      `json:"explicit"`  // its capture
	Proxyless bool      `json:"proxyless"` // a gRPC client without an Envoy
	Protocol  string    `json:"protocol"`  // "delta" or "sotw"
	Address   string    `json:"address"`   // of the stream's other end
	Connected time.Time `json:"connected"`
	// Desired is the commit of the state the proxy should have, Applied the
	// one it has ACKed wholly; both empty where there is none yet.
	Desired string `json:"desired"`
	Applied string `json:"applied"`
	// Note says why a proxy is not given the newest state; empty when it is.
	Note string `json:"note,omitempty"`
	// Reported is when the proxy last reported what it sees of traffic; zero for
	// one that does not.
	Reported time.Time `json:"reported,omitzero"`
	// Endpoints are the endpoints it sees of the clusters that it checks the
	// health of or ejects from, and of those that lack healthy ones, by name;
	// none while its reports stay away.
	Endpoints []Endpoints `json:"endpoints,omitempty"`
	// Types holds the types the proxy subscribes to.
	Types map[Type]TypeStatus `json:"types"`
}

// Endpoints is how many endpoints of a cluster one proxy has, and how many of
// them it holds to be healthy.
type Endpoints struct {
	Cluster string `json:"cluster"`
	Healthy int    `json:"healthy"`
	Total   int    `json:"total"`
}

// Lack says how many endpoints are healthy where not all are; empty where all are.
func (e Endpoints) Lack() string {
	if e.Healthy >= e.Total {
		return ""
	}
	return fmt.Sprintf("%d of %d endpoints of %s healthy", e.Healthy, e.Total, e.Cluster)
}

// Healthy adds up the proxy's endpoints, as "5/6"; empty without any.
func (p Proxy) Healthy() string {
	if len(p.Endpoints) == 0 {
		return ""
	}
	healthy, total := 0, 0
	for _, e := range p.Endpoints {
		healthy += e.Healthy
		total += e.Total
	}
	return fmt.Sprintf("%d/%d", healthy, total)
}

// TypeStatus is how far a proxy is with one type.
type TypeStatus struct {
	Resources int    `json:"resources"` // that it holds
	Sent      int    `json:"sent"`      // responses on this stream
	Commit    string `json:"commit"`    // of the last response it ACKed
	NACK      *NACK  `json:"nack,omitempty"`
}

// NACK is a refusal: which commit's response, what was in it, and Envoy's own
// words. It stands until the proxy ACKs a later response of the type.
type NACK struct {
	Commit    string    `json:"commit"`
	Resources []string  `json:"resources"`
	Message   string    `json:"message"`
	At        time.Time `json:"at"`
}

// Progress is how far the newest state has come on the connected proxies.
type Progress struct {
	Commit   string      `json:"commit"`
	Touched  int         `json:"touched"`  // connected proxies whose resources it changes
	Applied  int         `json:"applied"`  // of those, how many have ACKed all of it
	Rejected []Rejection `json:"rejected"` // of those, which refuse it
	// HeldBack counts the connected proxies for which the state has nothing, as
	// when the spec no longer has their node: they keep what they have.
	HeldBack int           `json:"heldBack,omitempty"`
	Took     time.Duration `json:"took"` // from Publish to the last ACK so far
}

// Rejection is one proxy's NACK of a commit.
type Rejection struct {
	Proxy string `json:"proxy"` // node.id
	Type  Type   `json:"type"`
	NACK
}

// Done reports whether every touched proxy has ACKed.
func (p Progress) Done() bool { return p.Applied == p.Touched && len(p.Rejected) == 0 }
