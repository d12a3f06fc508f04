package translate

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/meshwright/meshwright/xds"
)

// JSON is what a proxy has as one JSON object: the keys listeners, routes,
// clusters, endpoints and secrets, each a list in Envoy's JSON form. Items bear
// no "@type", so that a list can be pasted into the static_resources of a
// bootstrap. The same resources give the same bytes.
func JSON(r *xds.Resources) ([]byte, error) {
	var lists [xds.NumTypes][]json.RawMessage
	for t := range lists {
		lists[t] = []json.RawMessage{} // [], not null
		for _, resource := range r[t] {
			m, err := resource.Body.UnmarshalNew()
			if err != nil {
				return nil, fmt.Errorf("read %s %s: %w", resource.Type, resource.Name, err)
			}
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
		Clusters  []json.RawMessage `json:"clusters"`
		Endpoints []json.RawMessage `json:"endpoints"`
		Secrets   []json.RawMessage `json:"secrets"`
	}{lists[xds.Listener], lists[xds.Route], lists[xds.Cluster], lists[xds.Endpoint], lists[xds.Secret]})
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
