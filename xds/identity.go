package xds

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/meshwright/meshwright/schema"
)

// Identity is what a proxy stands for: a virtual node or a virtual gateway of
// a mesh, by their App Mesh names.
type Identity struct {
	Mesh string
	Kind schema.Kind // KindVirtualNode or KindVirtualGateway
	Name string      // the resource's AWSName
}

// String is mesh/MESH/virtualNode/NAME or mesh/MESH/virtualGateway/NAME.
func (id Identity) String() string {
	kind := "virtualNode"
	if id.Kind == schema.KindVirtualGateway {
		kind = "virtualGateway"
	}
	return "mesh/" + id.Mesh + "/" + kind + "/" + id.Name
}

// Compare orders identities as their strings.
func (id Identity) Compare(o Identity) int {
	return cmp.Or(cmp.Compare(id.Mesh, o.Mesh), cmp.Compare(id.Kind, o.Kind), cmp.Compare(id.Name, o.Name))
}

// ParseIdentity reads an identity in the form of [Identity.String], also as the
// end of an App Mesh ARN (arn:aws:appmesh:REGION:ACCOUNT:mesh/…), which is what
// APPMESH_RESOURCE_ARN and APPMESH_VIRTUAL_NODE_NAME held.
func ParseIdentity(s string) (Identity, error) {
	name := s
	if strings.HasPrefix(name, "arn:") {
		if i := strings.Index(name, ":mesh/"); i >= 0 {
			name = name[i+1:]
		}
	}
	parts := strings.SplitN(name, "/", 4)
	if len(parts) == 4 && parts[0] == "mesh" && parts[1] != "" && parts[3] != "" && !strings.Contains(parts[3], "/") {
		mesh, _, _ := strings.Cut(parts[1], "@") // a shared mesh is NAME@OWNER
		switch parts[2] {
		case "virtualNode":
			return Identity{mesh, schema.KindVirtualNode, parts[3]}, nil
		case "virtualGateway":
			return Identity{mesh, schema.KindVirtualGateway, parts[3]}, nil
		}
		if near := schema.Nearest(parts[2], []string{"virtualNode", "virtualGateway"}); len(near) == 1 {
			parts[2] = near[0]
			return Identity{}, fmt.Errorf("%q is no proxy identity; did you mean %s?", s, strings.Join(parts, "/"))
		}
	}
	return Identity{}, fmt.Errorf("%q is no proxy identity; write mesh/MESH/virtualNode/NAME or mesh/MESH/virtualGateway/NAME", s)
}

// MarshalText makes an identity its string in JSON.
func (id Identity) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads an identity's string.
func (id *Identity) UnmarshalText(b []byte) (err error) {
	*id, err = ParseIdentity(string(b))
	return err
}
