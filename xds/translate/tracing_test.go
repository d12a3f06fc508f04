package translate_test

import (
	"strings"
	"testing"

	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

func TestTracingValidate(t *testing.T) {
	for name, row := range map[string]struct {
		tracing translate.Tracing
		want    string // in the error; empty: none
	}{
		"off":           {translate.Tracing{Percent: 1000}, ""},
		"on":            {translate.Tracing{Endpoint: "otel.example.com:4317", Percent: 5}, ""},
		"never":         {translate.Tracing{Endpoint: "10.0.0.1:4317"}, ""},
		"no_port":       {translate.Tracing{Endpoint: "otel.example.com"}, "HOST:PORT"},
		"url":           {translate.Tracing{Endpoint: "http://otel.example.com:4317"}, "HOST:PORT"},
		"negative":      {translate.Tracing{Endpoint: "otel:4317", Percent: -1}, "0 to 100"},
		"above_hundred": {translate.Tracing{Endpoint: "otel:4317", Percent: 101}, "0 to 100"},
	} {
		t.Run(name, func(t *testing.T) {
			err := row.tracing.Validate()
			if (err != nil) != (row.want != "") || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want %q", err, row.want)
			}
		})
	}
}

// TestTracingIsInEveryProxy: a snapshot with other settings takes nothing over
// that lacks them, and Envoy takes what it gets.
func TestTracingIsInEveryProxy(t *testing.T) {
	spec := yelb(t)
	plain := translate.New(translate.Inputs{Spec: spec}, nil)
	without, err := plain.Resources(xds.Profile{Identity: ui})
	if err != nil {
		t.Fatal(err)
	}
	for _, endpoint := range []string{"otel.example.com:4317", "127.0.0.1:4317"} {
		traced := translate.New(translate.Inputs{Spec: spec, Tracing: translate.Tracing{Endpoint: endpoint, Percent: 12.5}}, plain)
		with, err := traced.Resources(xds.Profile{Identity: ui})
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range with[xds.Listener] {
			if l.Version == without[xds.Listener][i].Version {
				t.Errorf("%s is as it was", l.Name)
			}
		}
		if n := len(with[xds.Cluster]) - len(without[xds.Cluster]); n != 1 {
			t.Errorf("%d more clusters, want the collector's", n)
		}
		static, err := translate.Static(ui, with)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"service_name": "yelb/yelb-ui-virtual-node"`, `"value": 12.5`} {
			if !strings.Contains(string(static), want) {
				t.Errorf("%s is not in it", want)
			}
		}
		if log := validate(t, static); log != "" {
			t.Errorf("Envoy warns:\n%s", log)
		}
	}
}
