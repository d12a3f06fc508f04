package envoys

import (
	"hash/maphash"
	"sync"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/meshwright/meshwright/xds"
)

// book remembers what bodies refer to, by a hash of them: a fleet is sent the
// same few bodies again and again. It is safe for concurrent use.
type book struct {
	seed  maphash.Seed
	pages sync.Map // of a body's hash: map[xds.Type][]string
}

func newBook() *book { return &book{seed: maphash.MakeSeed()} }

// references are the names of other resources in a cluster or listener.
func (k *book) references(t xds.Type, body []byte) (map[xds.Type][]string, error) {
	key := maphash.Bytes(k.seed, body)
	if page, ok := k.pages.Load(key); ok {
		return page.(map[xds.Type][]string), nil
	}
	refs, err := references(t, body)
	if err == nil {
		k.pages.Store(key, refs)
	}
	return refs, err
}

// references looks at every message in a body, whatever it is packed in.
func references(t xds.Type, body []byte) (map[xds.Type][]string, error) {
	var m proto.Message = &listenerv3.Listener{}
	if t == xds.Cluster {
		m = &clusterv3.Cluster{}
	}
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, err
	}
	refs := map[xds.Type][]string{}
	err := protorange.Range(m.ProtoReflect(), func(p protopath.Values) error {
		v, ok := p.Index(-1).Value.Interface().(protoreflect.Message)
		if !ok {
			return nil
		}
		switch m := v.Interface().(type) {
		case *clusterv3.Cluster:
			if service := m.GetEdsClusterConfig().GetServiceName(); service != "" {
				refs[xds.Endpoint] = append(refs[xds.Endpoint], service)
			} else if m.GetType() == clusterv3.Cluster_EDS {
				refs[xds.Endpoint] = append(refs[xds.Endpoint], m.Name)
			}
		case *hcmv3.Rds:
			refs[xds.Route] = append(refs[xds.Route], m.RouteConfigName)
		case *tlsv3.SdsSecretConfig:
			if m.SdsConfig.GetAds() != nil { // else it is not ours to send
				refs[xds.Secret] = append(refs[xds.Secret], m.Name)
			}
		}
		return nil
	})
	return refs, err
}
