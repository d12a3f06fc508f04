package ads

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/meshwright/meshwright/xds"
)

// frame is a response on the wire, in pieces. The pieces of the resources are
// the very bytes that the translator marshalled: one changed resource is
// marshalled once and shared, not copied, by the frames of all streams.
type frame struct{ pieces mem.BufferSlice }

// Fields of envoy.service.discovery.v3 messages. DiscoveryResponse and
// DeltaDiscoveryResponse agree in those without a prefix.
const (
	fieldVersion      = 1 // also system_version_info of delta
	fieldResources    = 2
	fieldTypeURL      = 4
	fieldNonce        = 5
	sotwControlPlane  = 6
	deltaRemoved      = 6
	deltaControlPlane = 7

	resourceVersion = 1 // of Resource, in which delta wraps each one
	resourceBody    = 2
	resourceName    = 3

	anyTypeURL           = 1
	anyValue             = 2
	controlPlaneIdentity = 1
)

// encode makes the frame of a response, but for its nonce. Fields are in whatever
// order keeps the body of a resource last in its message; decoders take any.
func encode(r response, delta bool) mem.BufferSlice {
	head := make([]byte, 0, 256+160*len(r.resources))
	controlPlane := sotwControlPlane
	if delta {
		controlPlane = deltaControlPlane
		for _, name := range r.removed {
			head = appendString(head, deltaRemoved, name)
		}
	}
	head = appendString(head, fieldVersion, r.version)
	head = appendString(head, fieldTypeURL, r.typ.URL())
	head = appendBytesHead(head, controlPlane, stringSize(controlPlaneIdentity, string(r.commit)))
	head = appendString(head, controlPlaneIdentity, string(r.commit))
	pieces := make(mem.BufferSlice, 0, 1+2*len(r.resources))
	start := 0
	for _, res := range r.resources {
		body := res.Body.GetValue()
		anySize := stringSize(anyTypeURL, res.Body.GetTypeUrl()) + bytesSize(anyValue, len(body))
		if delta {
			size := stringSize(resourceVersion, res.Version) + stringSize(resourceName, res.Name) + bytesSize(resourceBody, anySize)
			head = appendBytesHead(head, fieldResources, size)
			head = appendString(head, resourceVersion, res.Version)
			head = appendString(head, resourceName, res.Name)
			head = appendBytesHead(head, resourceBody, anySize)
		} else {
			head = appendBytesHead(head, fieldResources, anySize)
		}
		head = appendString(head, anyTypeURL, res.Body.GetTypeUrl())
		head = appendBytesHead(head, anyValue, len(body))
		pieces = append(pieces, mem.SliceBuffer(head[start:len(head):len(head)]), mem.SliceBuffer(body))
		start = len(head)
	}
	if start < len(head) {
		pieces = append(pieces, mem.SliceBuffer(head[start:]))
	}
	return pieces
}

func appendString(b []byte, field int, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, protowire.Number(field), protowire.BytesType), s)
}

func appendBytesHead(b []byte, field, size int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, protowire.Number(field), protowire.BytesType), uint64(size))
}

func stringSize(field int, s string) int {
	if s == "" {
		return 0
	}
	return bytesSize(field, len(s))
}

func bytesSize(field, n int) int {
	return protowire.SizeTag(protowire.Number(field)) + protowire.SizeBytes(n)
}

// assignmentOf returns the name of the ClusterLoadAssignment that a cluster
// takes its endpoints from, empty if it is not of type EDS. It looks at the
// four fields it needs, since it is asked for every cluster sent.
func assignmentOf(r *xds.Resource) string {
	const ( // of envoy.config.cluster.v3.Cluster
		clusterName = 1
		clusterType = 2
		edsConfig   = 3
		edsType     = 3 // Cluster.DiscoveryType
		edsService  = 2 // of Cluster.EdsClusterConfig
	)
	var name, service string
	var eds bool
	b := r.Body.GetValue()
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ""
		}
		b = b[n:]
		switch {
		case num == clusterType && typ == protowire.VarintType:
			v, _ := protowire.ConsumeVarint(b)
			eds = v == edsType
		case num == clusterName && typ == protowire.BytesType:
			v, _ := protowire.ConsumeString(b)
			name = v
		case num == edsConfig && typ == protowire.BytesType:
			v, _ := protowire.ConsumeBytes(b)
			service = stringField(v, edsService)
		}
		n = protowire.ConsumeFieldValue(num, typ, b)
		if n < 0 {
			return ""
		}
		b = b[n:]
	}
	switch {
	case !eds:
		return ""
	case service != "":
		return service
	}
	return name
}

// Fields of envoy.config.cluster.v3.Cluster that say how a cluster is reported.
const (
	clusterHealthChecks     = 8
	clusterOutlierDetection = 19
	clusterAltStatName      = 28
)

// altStatName is what a cluster is called in metrics, empty if that is its name.
func altStatName(r *xds.Resource) string {
	return stringField(r.Body.GetValue(), clusterAltStatName)
}

// watchesHealth reports whether a proxy finds out itself which endpoints of a
// cluster are healthy.
func watchesHealth(r *xds.Resource) bool {
	return hasField(r.Body.GetValue(), clusterHealthChecks) || hasField(r.Body.GetValue(), clusterOutlierDetection)
}

func hasField(b []byte, field protowire.Number) bool {
	for len(b) > 0 {
		num, _, n := protowire.ConsumeField(b)
		if n < 0 {
			return false
		}
		if num == field {
			return true
		}
		b = b[n:]
	}
	return false
}

// stringField returns a string field of a message, empty if it is not there.
func stringField(b []byte, field protowire.Number) string {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ""
		}
		b = b[n:]
		if num == field && typ == protowire.BytesType {
			v, _ := protowire.ConsumeString(b)
			return v
		}
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return ""
		}
		b = b[n:]
	}
	return ""
}
