package translate_test

import (
	"strings"
	"testing"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds/translate"
)

// TestVerify: what the schema lets through and Envoy does not take is an error
// of the node that has it, once, and only what changed is looked at.
func TestVerify(t *testing.T) {
	good := load(t, ring(11))
	if found := translate.Verify(t.Context(), good, nil); len(found) > 0 {
		t.Fatalf("a good spec:\n%s", found)
	}
	bad := load(t, ring(11))
	// No document can leave a host without its name any more, the model can.
	for _, n := range bad.VirtualNodes {
		n.Spec.ServiceDiscovery.DNS.Hostname = ""
		n.Digest += "'"
	}
	found := translate.Verify(t.Context(), bad, good)
	if len(found) != 11 || found[0].Severity != schema.Error || found[0].Resource.Kind != schema.KindVirtualNode || !strings.Contains(found[0].What, "at least 1") {
		t.Errorf("hosts without a name:\n%s", found)
	}
	if again := translate.Verify(t.Context(), bad, bad); len(again) > 0 {
		t.Errorf("nothing changed:\n%s", again)
	}
}
