package translate_test

import (
	"strings"
	"testing"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// TestTargets: every egress cluster that a proxy has leads to a virtual node,
// the one whose name is in its own; nothing is said of other clusters.
func TestTargets(t *testing.T) {
	variants := 0
	for _, c := range fixtures.Archives(t, "specs/translate_*.txtar") {
		spec := load(t, c.Files)
		s := translate.New(translate.Inputs{Spec: spec, Certificates: specimens(t, c, spec)}, nil)
		plain := len(s.Targets())
		for _, res := range resources(t, s, spec) {
			targets := s.Targets()
			for _, cluster := range res[xds.Cluster] {
				ref, ok := targets[cluster.Name]
				egress := strings.HasPrefix(cluster.Name, "cds_egress_") && !strings.HasSuffix(cluster.Name, "_passthrough")
				if ok != egress {
					t.Errorf("%s: %s leads to a node: %v", c.Name, cluster.Name, ok)
				} else if node := spec.VirtualNodes[ref.Key]; ok && !strings.HasPrefix(cluster.Name, "cds_egress_"+node.Mesh+"_"+node.AWSName+"_") {
					t.Errorf("%s: %s leads to %s", c.Name, cluster.Name, ref)
				}
			}
		}
		variants += len(s.Targets()) - plain
	}
	if variants == 0 {
		t.Error("no case has a node that a client speaks to in two ways")
	}
}
