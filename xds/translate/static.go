package translate

import (
	"fmt"
	"net/netip"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshwright/meshwright/xds"
)

// Static is a whole bootstrap that holds a proxy's resources as static ones:
// what refers to ADS (route configurations, endpoints, secrets) is put in its
// place. It runs without a control plane, and `envoy --mode validate` checks
// in it what the proxy would be sent.
func Static(id xds.Identity, r *xds.Resources) ([]byte, error) {
	s := &bootstrapv3.Bootstrap_StaticResources{}
	for _, resource := range r[xds.Listener] {
		m := &listenerv3.Listener{}
		if err := inlined(r, resource, m); err != nil {
			return nil, err
		}
		if m.Address != nil { // an API listener is for proxyless gRPC only
			s.Listeners = append(s.Listeners, m)
		}
	}
	for _, resource := range r[xds.Cluster] {
		m := &clusterv3.Cluster{}
		if err := inlined(r, resource, m); err != nil {
			return nil, err
		}
		s.Clusters = append(s.Clusters, m)
	}
	for _, resource := range r[xds.Secret] {
		m := &tlsv3.Secret{}
		if err := inlined(r, resource, m); err != nil {
			return nil, err
		}
		s.Secrets = append(s.Secrets, m)
	}
	return protoIndented(&bootstrapv3.Bootstrap{
		Node:            &corev3.Node{Id: id.String(), Cluster: id.String()}, // which Envoy asks for where a secret comes over SDS
		StaticResources: s,
		Admin:           adminInterface(netip.AddrPort{}),
		LayeredRuntime:  runtimeLayers(),
		OverloadManager: overloadLimits(),
	})
}

// inlined reads a resource into m, with what it takes from ADS in its place.
func inlined(r *xds.Resources, resource *xds.Resource, m proto.Message) error {
	err := resource.Body.UnmarshalTo(m)
	if err == nil {
		err = edit(m.ProtoReflect(), func(m proto.Message) error { return inline(r, m) })
	}
	if err != nil {
		return fmt.Errorf("make %s %s static: %w", resource.Type, resource.Name, err)
	}
	return nil
}

// inline replaces one message's own reference to ADS.
func inline(r *xds.Resources, m proto.Message) error {
	switch m := m.(type) {
	case *hcmv3.HttpConnectionManager:
		if name := m.GetRds().GetRouteConfigName(); name != "" {
			routes := &routev3.RouteConfiguration{Name: name}
			if err := read(r, xds.Route, name, routes); err != nil {
				return err
			}
			m.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: routes}
		}
	case *clusterv3.Cluster:
		if m.GetType() == clusterv3.Cluster_EDS {
			name := m.GetEdsClusterConfig().GetServiceName()
			if name == "" {
				name = m.Name
			}
			endpoints := &endpointv3.ClusterLoadAssignment{ClusterName: name}
			if err := read(r, xds.Endpoint, name, endpoints); err != nil {
				return err
			}
			m.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
			m.EdsClusterConfig, m.LoadAssignment = nil, endpoints
		}
	case *tlsv3.SdsSecretConfig:
		if m.GetSdsConfig().GetAds() != nil {
			m.SdsConfig = nil // of this name among the static secrets
		}
	}
	return nil
}

// read fills m with a resource; one that is not there leaves m as it is, as a
// proxy would go on without.
func read(r *xds.Resources, t xds.Type, name string, m proto.Message) error {
	resource := r.Get(t, name)
	if resource == nil {
		return nil
	}
	return resource.Body.UnmarshalTo(m)
}

// edit calls f for a message and every message in it, also inside Any.
func edit(m protoreflect.Message, f func(proto.Message) error) error {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		inner, err := packed.UnmarshalNew()
		if err != nil {
			return err
		}
		if err := edit(inner.ProtoReflect(), f); err != nil {
			return err
		}
		return anypb.MarshalFrom(packed, inner, proto.MarshalOptions{Deterministic: true})
	}
	if err := f(m.Interface()); err != nil {
		return err
	}
	var err error
	visit := func(v protoreflect.Value) bool { err = edit(v.Message(), f); return err == nil }
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.IsMap() && field.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { return visit(v) })
		case field.IsMap() || field.Message() == nil:
		case field.IsList():
			for i := 0; i < v.List().Len() && err == nil; i++ {
				visit(v.List().Get(i))
			}
		default:
			visit(v)
		}
		return err == nil
	})
	return err
}
