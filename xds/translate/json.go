package translate

import (
	"bytes"
	"encoding/json"
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/meshwright/meshwright/xds"
)

// JSON is what a proxy has as one JSON object: the keys listeners, routes,
// virtualHosts (of a profile that takes these one by one), clusters, endpoints
// and secrets, each a list in Envoy's JSON form. Items bear
// no "@type", so that a list can be pasted into the static_resources of a
// bootstrap. The same resources give the same bytes. Private keys are not
// printed, so that people may pass it on.
func JSON(r *xds.Resources) ([]byte, error) {
	var lists [xds.NumTypes][]json.RawMessage
	for t := range lists {
		lists[t] = []json.RawMessage{} // [], not null
		for _, resource := range r[t] {
			m, err := resource.Body.UnmarshalNew()
			if err != nil {
				return nil, fmt.Errorf("read %s %s: %w", resource.Type, resource.Name, err)
			}
			redact(m)
			b, err := protoJSON(m)
			if err != nil {
				return nil, fmt.Errorf("print %s %s: %w", resource.Type, resource.Name, err)
			}
			lists[t] = append(lists[t], b)
		}
	}
	return indented(struct { // in the order in which people read it
		Listeners []json.RawMessage `json:"listeners"`
		Routes    []json.RawMessage `json:"routes"`
		Hosts     []json.RawMessage `json:"virtualHosts,omitempty"`
		Clusters  []json.RawMessage `json:"clusters"`
		Endpoints []json.RawMessage `json:"endpoints"`
		Secrets   []json.RawMessage `json:"secrets"`
	}{lists[xds.Listener], lists[xds.Route], lists[xds.VirtualHost], lists[xds.Cluster], lists[xds.Endpoint], lists[xds.Secret]})
}

// redact takes the private key out of a secret.
func redact(m proto.Message) {
	secret, _ := m.(*tlsv3.Secret)
	if key := secret.GetTlsCertificate().GetPrivateKey(); key.GetInlineString() != "" {
		key.Specifier = &corev3.DataSource_InlineString{InlineString: "[redacted]"}
	}
}

// protoJSON is a message in the spelling of Envoy's documentation, compact.
// protojson puts spaces in at random, so that nobody relies on its bytes: they
// are taken out.
func protoJSON(m proto.Message) ([]byte, error) {
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = json.Compact(&out, b)
	return out.Bytes(), err
}

// indented is a value as JSON that people read, without a newline at its end.
func indented(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(out.Bytes(), "\n"), err
}

// protoIndented is a message as JSON that people read.
func protoIndented(m proto.Message) ([]byte, error) {
	b, err := protoJSON(m)
	if err != nil {
		return nil, err
	}
	return indented(json.RawMessage(b))
}
