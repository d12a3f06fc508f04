package translate_test

import (
	"cmp"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshwright/meshwright/xds"
)

// check holds resources to what must hold of all: protobuf validation of every
// message (those in an Any too), no name twice, and references that resolve:
// every cluster that a route or filter names, every route configuration and
// secret that is to come over ADS.
func check(t testing.TB, r *xds.Resources) {
	t.Helper()
	for typ := range r {
		for i, res := range r[typ] {
			if i > 0 && r[typ][i-1].Name >= res.Name {
				t.Errorf("%s: %s comes before %s", xds.Type(typ), r[typ][i-1].Name, res.Name)
			}
			refers := func(kind xds.Type, name string) {
				if r.Get(kind, name) == nil {
					t.Errorf("%s %s refers to %s %s, which is not there", xds.Type(typ), res.Name, kind, name)
				}
			}
			walk(t, res.Body, func(m proto.Message) {
				if v, ok := m.(interface{ ValidateAll() error }); ok {
					if err := v.ValidateAll(); err != nil {
						t.Errorf("%s %s: %v", xds.Type(typ), res.Name, err)
					}
				}
				switch m := m.(type) {
				case *clusterv3.Cluster:
					if m.Name != res.Name {
						t.Errorf("cluster %s calls itself %s", res.Name, m.Name)
					}
					if m.GetType() == clusterv3.Cluster_EDS {
						refers(xds.Endpoint, cmp.Or(m.GetEdsClusterConfig().GetServiceName(), m.Name))
					}
				case *routev3.RouteAction:
					if c := m.GetCluster(); c != "" {
						refers(xds.Cluster, c)
					}
				case *routev3.WeightedCluster_ClusterWeight:
					refers(xds.Cluster, m.Name)
				case *tcpproxyv3.TcpProxy:
					if c := m.GetCluster(); c != "" {
						refers(xds.Cluster, c)
					}
				case *tcpproxyv3.TcpProxy_WeightedCluster_ClusterWeight:
					refers(xds.Cluster, m.Name)
				case *hcmv3.Rds:
					refers(xds.Route, m.RouteConfigName)
				case *tlsv3.SdsSecretConfig:
					if _, ours := m.GetSdsConfig().GetConfigSourceSpecifier().(*corev3.ConfigSource_Ads); ours {
						refers(xds.Secret, m.Name)
					}
				}
			})
		}
	}
}

// walk calls f for a message and all in it.
func walk(t testing.TB, m proto.Message, f func(proto.Message)) {
	t.Helper()
	if a, ok := m.(*anypb.Any); ok {
		inner, err := a.UnmarshalNew()
		if err != nil {
			t.Errorf("read %s: %v", a.TypeUrl, err)
			return
		}
		walk(t, inner, f)
		return
	}
	f(m)
	m.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap() && fd.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				walk(t, v.Message().Interface(), f)
				return true
			})
		case fd.IsMap() || fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				walk(t, v.List().Get(i).Message().Interface(), f)
			}
		default:
			walk(t, v.Message().Interface(), f)
		}
		return true
	})
}
