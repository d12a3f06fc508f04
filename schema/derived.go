package schema

// This file is what a route can have that no document says: the daemon puts it
// into specs that it derives from others (see [Spec.Derive]), and the schema
// refuses it in files. It is part of a resource's digest as everything else is.
// In such specs weights may be above 100, which is App Mesh's bound.

// Derived is what holds on a route of a router while a canary runs.
type Derived struct {
	// Affinity chooses among the targets in the place of chance: requests that
	// agree in it go to one target, and to the same one as the shares of the
	// first targets grow.
	Affinity *Affinity `json:"affinity,omitempty"`
	Copies   []Copy    `json:"copies,omitempty"`
}

// Copy sends copies of some requests to a virtual node; their answers are
// dropped. The reference has its namespace.
type Copy struct {
	VirtualNodeRef Reference `json:"virtualNodeRef"`
	Port           uint32    `json:"port,omitempty"` // the node's listener; needed where it has several
	Share          Percent   `json:"share"`
}

// DerivedGateway is what holds on a gateway route while a canary runs.
type DerivedGateway struct {
	Branches []Branch `json:"branches,omitempty"` // tried in order, before the route's own target
	Copies   []Copy   `json:"copies,omitempty"`
}

// Branch leads some of a gateway route's requests to another target: those with
// the header, if it asks for one, and of them a share.
type Branch struct {
	Target GatewayTarget `json:"target"`
	Header *HeaderMatch  `json:"header,omitempty"`
	Share  Percent       `json:"share"`
}

func (d *Derived) copies() []Copy {
	if d == nil {
		return nil
	}
	return d.Copies
}

func (d *DerivedGateway) copies() []Copy {
	if d == nil {
		return nil
	}
	return d.Copies
}

func (d *DerivedGateway) branches() []Branch {
	if d == nil {
		return nil
	}
	return d.Branches
}
