package envoys

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/meshwright/meshwright/xds"
)

// response is what a stream needs to know of a DiscoveryResponse or
// DeltaDiscoveryResponse.
type response struct {
	size           int // bytes
	typ            xds.Type
	nonce, version string
	names          []string              // of its resources; not of clusters and listeners that were asked for as a whole
	refers         map[xds.Type][]string // what they name; nobody changes it
	hosts          bool                  // routes among them take virtual hosts one by one
}

// codec marshals requests as usual and reads responses, no further than it must.
type codec struct{ known *book }

// Name is protobuf's: it is that on the wire.
func (codec) Name() string { return "proto" }

// Marshal marshals a request.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	b, err := proto.Marshal(v.(proto.Message))
	return mem.BufferSlice{mem.SliceBuffer(b)}, err
}

// Unmarshal reads a response.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	b := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer b.Free()
	return v.(*response).read(b.ReadOnlyData(), c.known)
}

var errWire = errors.New("this is no discovery response")

// Fields in which both kinds of responses agree, and those of what is in them.
const (
	fieldVersion, fieldResources, fieldTypeURL, fieldNonce = 1, 2, 4, 5

	deltaResource, deltaName = 2, 3 // of Resource, which an Any is told from by its first field
	anyTypeURL, anyValue     = 1, 2
	bodyName                 = 1 // of each of the types
	routesVHDS               = 9 // of RouteConfiguration
)

// read reads a response of either kind. A Resource of delta has a name of its
// own; an Any has none, but begins with the URL of its type.
func (r *response) read(b []byte, known *book) error {
	r.size = len(b)
	var resources [][]byte
	err := fields(b, func(num protowire.Number, v []byte) {
		switch num {
		case fieldVersion:
			r.version = string(v)
		case fieldResources:
			resources = append(resources, v)
		case fieldTypeURL:
			r.typ, _ = xds.TypeOf(string(v))
		case fieldNonce:
			r.nonce = string(v)
		}
	})
	if err != nil || r.nonce == "" {
		return errWire
	}
	for _, resource := range resources {
		name, body, err := open(resource)
		if err != nil {
			return err
		}
		r.names = append(r.names, name)
		if r.typ == xds.Cluster || r.typ == xds.Listener {
			if err := r.follow(body, known); err != nil {
				return fmt.Errorf("%s %s: %w", r.typ, name, err)
			}
		}
		if r.typ == xds.Route {
			if err := fields(body, func(num protowire.Number, _ []byte) { r.hosts = r.hosts || num == routesVHDS }); err != nil {
				return fmt.Errorf("%s %s: %w", r.typ, name, err)
			}
		}
	}
	return nil
}

// open returns the name and the body of a Resource, or of an Any.
func open(b []byte) (name string, body []byte, err error) {
	wrapped := false
	err = fields(b, func(num protowire.Number, v []byte) {
		if num == deltaName {
			name, wrapped = string(v), true
		}
		if num == deltaResource { // and anyValue
			body = v
		}
	})
	if err == nil && wrapped {
		var value []byte
		err = fields(body, func(num protowire.Number, v []byte) {
			if num == anyValue {
				value = v
			}
		})
		return name, value, err
	}
	if err == nil {
		err = fields(body, func(num protowire.Number, v []byte) {
			if num == bodyName && name == "" {
				name = string(v)
			}
		})
	}
	return name, body, err
}

// follow adds what a cluster or listener refers to.
func (r *response) follow(body []byte, known *book) error {
	refs, err := known.references(r.typ, body)
	for t, names := range refs {
		if r.refers == nil {
			r.refers = map[xds.Type][]string{}
		}
		r.refers[t] = append(r.refers[t], names...)
	}
	return err
}

// fields calls f with each field of a message that is bytes.
func fields(b []byte, f func(protowire.Number, []byte)) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errWire
		}
		if b = b[n:]; typ == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(b)
			f(num, v)
		}
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return errWire
		}
		b = b[n:]
	}
	return nil
}
