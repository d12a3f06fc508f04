package translate_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
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

// TestVerifyParts: a spec is refused for those of which some proxy cannot be
// made as a whole, whatever value of it Envoy does not take, and however little
// of it is new; for no others, but where what cannot be made is a backend that
// gives way to another on its port.
func TestVerifyParts(t *testing.T) {
	t.Parallel()
	refused, taken := 0, 0
	for _, c := range fixtures.Archives(t, "specs/translate_*.txtar") {
		good, bad := load(t, c.Files), load(t, c.Files)
		if good == nil || bad == nil {
			continue
		}
		for _, r := range bad.All() {
			meta := schema.MetaOf(r)
			digest := meta.Digest
			meta.Digest += "'"
			spoil(reflect.ValueOf(r).Elem().FieldByName("Spec"), func(what string) {
				want := map[schema.Ref]bool{}
				s := translate.New(translate.Inputs{Spec: bad}, nil)
				for _, id := range identities(bad) {
					captures := []xds.Capture{{}, {Explicit: true}, {Proxyless: true}}
					if id.Kind == schema.KindVirtualGateway {
						captures = captures[:2]
					}
					for _, capture := range captures {
						if _, err := s.Resources(xds.Profile{Identity: id, Capture: capture}); err != nil {
							want[owner(bad, id)] = true
						}
					}
				}
				got := map[schema.Ref]bool{}
				for _, d := range translate.Verify(t.Context(), bad, good) {
					got[d.Resource] = true
				}
				if c.Name == "translate_tcp_shared_port" && len(got) > len(want) {
					maps.DeleteFunc(got, func(ref schema.Ref, _ bool) bool { return !want[ref] })
				}
				if !maps.Equal(got, want) {
					t.Errorf("%s: %s, %s: refused are %v, cannot be made %v", c.Name, meta.Ref, what, slices.Collect(maps.Keys(got)), slices.Collect(maps.Keys(want)))
				}
				if len(want) > 0 {
					refused++
				} else {
					taken++
				}
			})
			meta.Digest = digest
		}
	}
	if refused < 20 || taken < 100 {
		t.Errorf("only %d refused and %d taken: that shows nothing", refused, taken)
	}
	t.Logf("%d refused, %d taken", refused, taken)
}

// owner is what an identity stands for.
func owner(spec *schema.Spec, id xds.Identity) schema.Ref {
	if id.Kind == schema.KindVirtualGateway {
		return spec.VirtualGatewayNamed(id.Mesh, id.Name).Ref
	}
	return spec.VirtualNodeNamed(id.Mesh, id.Name).Ref
}

// spoil gives each value that no document can have to each text and number, one
// after the other, but to references, which a spec has indexed.
func spoil(v reflect.Value, try func(what string)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			spoil(v.Elem(), try)
		}
	case reflect.Slice:
		for i := range v.Len() {
			spoil(v.Index(i), try)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.IsExported() && f.Type.Name() != "Reference" && f.Type != reflect.TypeFor[*schema.Reference]() && !strings.HasSuffix(f.Name, "ARN") && !strings.HasSuffix(f.Name, "Ref") && f.Name != "Targets" {
				spoil(v.Field(i), func(what string) { try(f.Name + " " + what) })
			}
		}
	case reflect.String:
		was := v.String()
		for _, s := range []string{"", "a\nb"} {
			v.SetString(s)
			try(fmt.Sprintf("%q", s))
		}
		v.SetString(was)
	case reflect.Uint32:
		was := v.Uint()
		for _, n := range []uint64{0, 70000, 1 << 31} {
			v.SetUint(n)
			try(fmt.Sprint(n))
		}
		v.SetUint(was)
	}
}
