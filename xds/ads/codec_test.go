package ads

import (
	"fmt"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/meshwright/meshwright/xds"
)

// envoyNode is a node as an Envoy says it: with what it was built with.
func envoyNode() *corev3.Node {
	n := &corev3.Node{
		Id: "web-1", Cluster: web.String(), Metadata: xds.Profile{Capture: xds.NewCapture(true, nil)}.Metadata(), UserAgentName: "envoy",
		ClientFeatures: []string{"envoy.lb.does_not_support_overprovisioning"},
	}
	for i := range 500 {
		n.Extensions = append(n.Extensions, &corev3.Extension{
			Name: fmt.Sprintf("envoy.filters.http.extension_%03d", i), Category: "envoy.filters.http",
			TypeUrls: []string{fmt.Sprintf("envoy.extensions.filters.http.extension_%03d.v3.Config", i)},
		})
	}
	return n
}

// spoken are requests as Envoys make them.
func spoken() []proto.Message {
	refusal := &status.Status{Message: "no"}
	return []proto.Message{
		&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.Cluster.URL(), ResponseNonce: "1", ErrorDetail: refusal},
		&discoveryv3.DeltaDiscoveryRequest{Node: envoyNode(), TypeUrl: xds.Cluster.URL(), ResourceNamesSubscribe: []string{"a", "b"}, InitialResourceVersions: map[string]string{"a": "1"}},
		&discoveryv3.DiscoveryRequest{TypeUrl: xds.Cluster.URL(), VersionInfo: "v", ResponseNonce: "1"},
		&discoveryv3.DiscoveryRequest{Node: envoyNode(), TypeUrl: xds.Cluster.URL(), VersionInfo: "v", ResourceNames: []string{"a"}},
	}
}

// TestCodec: of a request all is read but the extensions of its node.
func TestCodec(t *testing.T) {
	for _, want := range spoken() {
		b, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got := want.ProtoReflect().New().Interface()
		if err := newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, got); err != nil {
			t.Fatal(err)
		}
		if n := want.(request).GetNode(); n != nil {
			n.Extensions = nil
		}
		if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
	if err := newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer{0xff}}, &discoveryv3.DiscoveryRequest{}); err == nil {
		t.Error("what is no message was read")
	}
}

// FuzzWithoutExtensions: what is read is what would have been read of the whole,
// but for extensions, and what cannot be read stays so.
func FuzzWithoutExtensions(f *testing.F) {
	for _, r := range spoken() {
		b, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var want, got discoveryv3.DeltaDiscoveryRequest
		whole := proto.Unmarshal(b, &want)
		err := proto.Unmarshal(withoutExtensions(b, deltaNode), &got)
		if whole == nil && err != nil {
			t.Fatal(err)
		}
		if whole != nil || got.GetNode().GetExtensions() != nil {
			return // of extensions that are none, or a node that is there twice, no Envoy speaks
		}
		if want.GetNode() != nil {
			want.Node.Extensions = nil
		}
		if !proto.Equal(&want, &got) {
			t.Errorf("got %v, want %v", &got, &want)
		}
	})
}

// BenchmarkFirstRequest reads what an Envoy says first.
func BenchmarkFirstRequest(b *testing.B) {
	data, err := proto.Marshal(spoken()[1])
	if err != nil {
		b.Fatal(err)
	}
	for name, c := range map[string]interface {
		Unmarshal(mem.BufferSlice, any) error
	}{"whole": newCodec().CodecV2, "without-extensions": newCodec()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, &discoveryv3.DeltaDiscoveryRequest{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
