package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// membership says which mesh each namespace belongs to, and which gateways may
// take its routes.
type membership struct {
	meshes, gateways []*document
	labels           map[string]map[string]string // of the namespaces with a document
	of               map[string]*document         // namespace → its mesh; nil: none or not known
	told             map[string]bool              // namespaces without a mesh, of which one resource was reported
	unsure           bool                         // meshes or namespaces may be missing that could not be read
}

// join reads the meshes, the gateways and the namespaces.
func (t *linker) join() {
	m := &t.members
	m.labels = map[string]map[string]string{}
	for _, ns := range t.namespaces {
		if m.labels[ns.name] == nil {
			m.labels[ns.name] = map[string]string{}
		}
		for name, value := range ns.labels {
			m.labels[ns.name][name] = value
		}
	}
	m.unsure = t.mayDefine(string(KindMesh)) || t.mayDefine("Namespace")
	for _, p := range t.parts {
		for _, d := range p.owners {
			if d.ref.Kind == KindMesh {
				m.meshes = append(m.meshes, d)
				m.unsure = m.unsure || d.res == nil
			} else {
				m.gateways = append(m.gateways, d)
			}
		}
	}
}

// places reports whether everything that has not changed belongs where it did.
func (m *membership) places(was *membership) bool {
	same := func(a, b *document) bool { return a == b || a.owns() == b.owns() }
	return slices.EqualFunc(m.meshes, was.meshes, same) && slices.EqualFunc(m.gateways, was.gateways, same) && maps.EqualFunc(m.labels, was.labels, maps.Equal)
}

// owns spells what of a mesh or gateway decides on what belongs to it.
func (d *document) owns() string {
	own := struct {
		Ref                Ref
		UID, AWSName       string
		Namespaces, Routes *Selector
		Mesh               *MeshReference
	}{Ref: d.ref, UID: d.uid, Mesh: meshRef(d.res)}
	switch r := d.res.(type) {
	case *Mesh:
		own.AWSName, own.Namespaces = r.AWSName, r.Spec.NamespaceSelector
	case *VirtualGateway:
		own.Namespaces, own.Routes = r.Spec.NamespaceSelector, r.Spec.GatewayRouteSelector
	}
	spelled, err := json.Marshal(own)
	if err != nil {
		panic("schema: " + err.Error()) // plain structs: cannot happen
	}
	return string(spelled)
}

// settle forgets what was found out of another attempt, and keeps the first of
// each mesh and gateway.
func (t *linker) settle() {
	m := &t.members
	m.of, m.told = map[string]*document{}, map[string]bool{}
	first := func(all []*document) []*document {
		return slices.DeleteFunc(slices.Clone(all), func(d *document) bool { return t.find(d.ref) != d })
	}
	m.meshes, m.gateways = first(m.meshes), first(m.gateways)
}

// known reports whether a namespace's labels are.
func (m *membership) known(namespace string) bool { return m.labels[namespace] != nil }

// labelsOf returns a namespace's labels. Without a document it has the one that
// Kubernetes gives.
func (m *membership) labelsOf(namespace string) map[string]string {
	if l := m.labels[namespace]; l != nil {
		return l
	}
	return map[string]string{"kubernetes.io/metadata.name": namespace}
}

// meshOf returns the App Mesh name of the mesh that a resource belongs to,
// empty if that is none; why not, is reported.
//
// A mesh selects namespaces by label. Where the repository has no Namespace at
// all and just one Mesh, everything belongs to it.
func (t *linker) meshOf(d *document) string {
	if d.ref.Kind == KindMesh {
		return d.res.meta().AWSName
	}
	m := &t.members
	mesh, ok := m.of[d.ref.Namespace]
	if !ok {
		mesh = t.selectMesh(d)
		m.of[d.ref.Namespace] = mesh
	}
	if ref := meshRef(d.res); ref != nil {
		named := t.find(Ref{KindMesh, Key{Name: ref.Name}})
		switch {
		case named == nil:
			t.dangling(d, "spec.meshRef", Ref{KindMesh, Key{Name: ref.Name}})
			return ""
		case mesh == nil && !m.known(d.ref.Namespace):
			mesh = named
		case mesh != nil && mesh != named:
			t.report(d, CodeMeshRef, "spec.meshRef.name", "spec.meshRef", fmt.Sprintf("%s does not select namespace %s; %s does", named.ref, d.ref.Namespace, mesh.ref),
				"leave meshRef out, or change the namespaceSelector")
		}
		t.sameUID(d, CodeMeshRef, "spec.meshRef", ref.UID, named)
	}
	switch {
	case mesh == nil:
		t.homeless(d)
	case mesh.res != nil:
		return mesh.res.meta().AWSName
	}
	return ""
}

// selectMesh returns the mesh that selects a document's namespace.
func (t *linker) selectMesh(d *document) *document {
	m := &t.members
	if len(m.meshes) == 1 && len(m.labels) == 0 {
		return m.meshes[0]
	}
	var mesh *document
	for _, c := range m.meshes {
		if c.res == nil || !c.res.(*Mesh).Spec.NamespaceSelector.Picks(m.labelsOf(d.ref.Namespace)) {
			continue
		}
		if mesh == nil {
			mesh = c
			continue
		}
		t.report(c, CodeTwoMeshes, "spec.namespaceSelector", "spec.namespaceSelector", fmt.Sprintf("it selects namespace %s, and so does %s", d.ref.Namespace, mesh.ref),
			"let one of them select it")
	}
	return mesh
}

// homeless reports a resource that belongs to no mesh: one for each namespace,
// or one of the tree where there is no mesh at all.
func (t *linker) homeless(d *document) {
	m := &t.members
	namespace, what, fix := d.ref.Namespace, "", ""
	switch {
	case m.unsure:
		return
	case len(m.meshes) == 0:
		namespace = ""
		what, fix = "it belongs to no mesh, since there is none", "add a Mesh, with spec.namespaceSelector: {} if it takes in everything"
	case m.known(namespace):
		what, fix = "no mesh selects namespace "+namespace, "let a Mesh's namespaceSelector pick the labels of the Namespace, or label it so"
	default:
		what, fix = "no mesh selects namespace "+namespace+", of which no labels are known", "add the Namespace with the labels that a Mesh's namespaceSelector picks"
	}
	if !m.told[namespace] {
		m.told[namespace] = true
		t.report(d, CodeNoMesh, "metadata.namespace", "metadata.namespace", what, fix)
	}
}

// sameUID holds the uid of a reference to that of what it names, where both
// are written: the controller refused others, for then it was another object
// of the same name.
func (t *linker) sameUID(d *document, code Code, path, uid string, named *document) {
	if own := named.uid; uid != "" && own != "" && own != uid {
		t.report(d, code, path+".uid", path+".uid", fmt.Sprintf("%s has the uid %s", named.ref, quote(own)), "leave "+strings.TrimPrefix(path, "spec.")+" out")
	}
}

// meshRef returns spec.meshRef, nil if there is none.
func meshRef(res Resource) *MeshReference {
	switch r := res.(type) {
	case *VirtualNode:
		return r.Spec.MeshRef
	case *VirtualService:
		return r.Spec.MeshRef
	case *VirtualRouter:
		return r.Spec.MeshRef
	case *VirtualGateway:
		return r.Spec.MeshRef
	case *GatewayRoute:
		return r.Spec.MeshRef
	case *BackendGroup:
		return r.Spec.MeshRef
	case *Endpoints:
		return r.Spec.MeshRef
	case *RoutePolicy:
		return r.Spec.MeshRef
	case *ListenerPolicy:
		return r.Spec.MeshRef
	case *Rollout:
		return r.Spec.MeshRef
	}
	return nil
}

// gatewayOf returns the virtual gateway that takes a gateway route of a mesh;
// the zero key, with a report, if that is not exactly one. A gateway picks by
// the labels of the route's namespace and of the route itself; where the
// repository has no Namespace at all, by the latter only.
func (t *linker) gatewayOf(d *document, mesh string) Key {
	if mesh == "" {
		return Key{}
	}
	route := d.res.(*GatewayRoute)
	var taking []*VirtualGateway
	for _, owner := range t.members.gateways {
		g, good := owner.res.(*VirtualGateway)
		if good && g.Mesh == mesh && (len(t.members.labels) == 0 || g.Spec.NamespaceSelector.Picks(t.members.labelsOf(d.ref.Namespace))) &&
			(g.Spec.GatewayRouteSelector == nil || g.Spec.GatewayRouteSelector.Picks(route.Labels)) {
			taking = append(taking, g)
		}
	}
	slices.SortFunc(taking, func(a, b *VirtualGateway) int { return a.Ref.Compare(b.Ref) })

	if named := route.Spec.VirtualGatewayRef; named != nil {
		to := Ref{KindVirtualGateway, Reference{named.Name, named.Namespace}.In(d.ref.Namespace)}
		const path = "spec.virtualGatewayRef"
		switch target := t.find(to); {
		case target == nil:
			t.dangling(d, path, to)
		case target.res != nil && !slices.Contains(taking, target.res.(*VirtualGateway)):
			t.report(d, CodeGatewayRef, path+".name", path, to.String()+" does not select this route", "leave virtualGatewayRef out, or change the gateway's selectors")
		default:
			t.sameUID(d, CodeGatewayRef, path, named.UID, target)
		}
		return to.Key
	}
	switch {
	case len(taking) == 1:
		return taking[0].Ref.Key
	case len(taking) > 1:
		fix := "let one of them select it, by namespaceSelector or gatewayRouteSelector"
		if len(t.members.labels) == 0 {
			fix = "add the Namespace with the labels by which they tell their routes apart, or a gatewayRouteSelector"
		}
		t.report(d, CodeTwoGateways, "metadata.name", "", fmt.Sprintf("%s and %s select this route", taking[0].Ref, taking[1].Ref), fix)
	case !t.members.unsure && !t.mayDefine(string(KindVirtualGateway)) && !slices.ContainsFunc(t.members.gateways, func(g *document) bool { return g.res == nil }):
		t.report(d, CodeNoGateway, "metadata.name", "", "no virtual gateway of mesh "+mesh+" selects this route",
			"let a gateway's namespaceSelector pick the labels of the Namespace and its gatewayRouteSelector those of the route")
	}
	return Key{}
}
