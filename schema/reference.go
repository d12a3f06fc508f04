package schema

import (
	"fmt"
	"slices"
)

// reference is one place of a document that names another.
type reference struct {
	to   Ref    // by name; or, where its name is empty,
	arn  string // by App Mesh name, of the kind of to
	path string // of the field, as spec.backends[0].virtualService.virtualServiceRef
}

// references lists what a document names, but for meshRef and
// virtualGatewayRef: those only repeat what selectors say (see membership.go).
func references(res Resource) []reference {
	var refs []reference
	from := res.meta().Ref.Namespace
	// name is the path but for its end, Ref or ARN.
	add := func(kind Kind, ref *Reference, arn, path string, args ...any) {
		r := reference{to: Ref{Kind: kind}, arn: arn, path: fmt.Sprintf(path, args...)}
		if ref != nil {
			r.to.Key, r.arn = ref.In(from), ""
			r.path += "Ref"
		} else {
			r.path += "ARN"
		}
		refs = append(refs, r)
	}
	switch r := res.(type) {
	case *VirtualNode:
		for i, b := range r.Spec.Backends {
			add(KindVirtualService, b.VirtualService.VirtualServiceRef, b.VirtualService.VirtualServiceARN, "spec.backends[%d].virtualService.virtualService", i)
		}
		for i, g := range r.Spec.BackendGroups {
			if g.Name != "*" {
				refs = append(refs, reference{to: Ref{KindBackendGroup, g.In(from)}, path: fmt.Sprintf("spec.backendGroups[%d]", i)})
			}
		}
	case *VirtualService:
		switch p := r.Spec.Provider; {
		case p == nil:
		case p.VirtualNode != nil:
			add(KindVirtualNode, p.VirtualNode.VirtualNodeRef, p.VirtualNode.VirtualNodeARN, "spec.provider.virtualNode.virtualNode")
		case p.VirtualRouter != nil:
			add(KindVirtualRouter, p.VirtualRouter.VirtualRouterRef, p.VirtualRouter.VirtualRouterARN, "spec.provider.virtualRouter.virtualRouter")
		}
	case *VirtualRouter:
		for i := range r.Spec.Routes {
			for j, t := range r.Spec.Routes[i].Targets() {
				add(KindVirtualNode, t.VirtualNodeRef, t.VirtualNodeARN, "%s.virtualNode", targetPath(r, i, j))
			}
		}
	case *GatewayRoute:
		for _, t := range r.Targets() {
			add(KindVirtualService, t.VirtualService.VirtualServiceRef, t.VirtualService.VirtualServiceARN, "spec.%s.action.target.virtualService.virtualService", r.Field())
		}
	case *Endpoints:
		refs = append(refs, reference{to: Ref{KindVirtualNode, r.Spec.VirtualNodeRef.In(from)}, path: "spec.virtualNodeRef"})
	case *RoutePolicy:
		for i := range r.Spec.Targets {
			refs = append(refs, reference{to: r.Spec.Targets[i].In(from), path: fmt.Sprintf("spec.targets[%d]", i)})
		}
		if m := r.Spec.Mirror; m != nil {
			refs = append(refs, reference{to: Ref{KindVirtualNode, m.VirtualNodeRef.In(from)}, path: "spec.mirror.virtualNodeRef"})
		}
	case *ListenerPolicy:
		for i := range r.Spec.Targets {
			refs = append(refs, reference{to: r.Spec.Targets[i].In(from), path: fmt.Sprintf("spec.targets[%d]", i)})
		}
		for _, s := range r.Spec.asked() {
			refs = append(refs, reference{to: Ref{KindVirtualService, s.ref.In(from)}, path: s.path + ".virtualServiceRef"})
		}
	case *Rollout:
		for i := range r.Spec.Targets {
			refs = append(refs, reference{to: r.Spec.Targets[i].In(from), path: fmt.Sprintf("spec.targets[%d]", i)})
		}
	case *BackendGroup:
		for i, v := range r.Spec.VirtualServices {
			refs = append(refs, reference{to: Ref{KindVirtualService, v.In(from)}, path: fmt.Sprintf("spec.virtualservices[%d]", i)})
		}
	}
	return refs
}

// targetPath is the path of a weighted target.
func targetPath(r *VirtualRouter, route, target int) string {
	return fmt.Sprintf("%s.action.weightedTargets[%d]", routePath(r, route), target)
}

// routePath is the path of a route's type.
func routePath(r *VirtualRouter, route int) string {
	return fmt.Sprintf("spec.routes[%d].%s", route, r.Spec.Routes[route].Field())
}

// resolve follows the references of every document that is fresh, and reports
// those that lead nowhere or into another mesh. Others lead where they did, as
// long as everything that changed is still to be found.
func (t *linker) resolve(changed []replacement) {
	docs := t.fresh
	if slices.ContainsFunc(changed, func(c replacement) bool { return c.was != nil && !c.stays() }) {
		docs = t.docs
	}
	for _, d := range docs {
		if d.res == nil {
			continue
		}
		for _, r := range references(d.res) {
			t.follow(d, r)
		}
	}
}

func (t *linker) follow(d *document, r reference) {
	to := r.to
	if to.Name == "" {
		key, ok := t.spec.names[named{to.Kind, d.res.meta().Mesh, arnName(r.arn)}]
		if !ok {
			t.danglingARN(d, r)
			return
		}
		to.Key = key
	}
	target := t.find(to)
	if target == nil {
		t.dangling(d, r.path, to)
		return
	}
	if target.res == nil {
		return // it has mistakes, which are told
	}
	if ours, theirs := d.res.meta().Mesh, target.res.meta().Mesh; ours != theirs && ours != "" && theirs != "" {
		t.report(d, CodeOtherMesh, r.path+".name", r.path, fmt.Sprintf("%s belongs to mesh %s, and this to mesh %s", to, theirs, ours),
			"define it in this mesh too, or drop the reference")
	}
}

// dangling reports a reference to what is not there, unless a file that could
// not be read may define it.
func (t *linker) dangling(d *document, path string, to Ref) {
	if t.mayDefine(to.Name) {
		return
	}
	t.report(d, CodeDangling, path+".name", path, "no "+to.String(), t.hint(to))
}

func (t *linker) danglingARN(d *document, r reference) {
	name, mesh := arnName(r.arn), d.res.meta().Mesh
	if mesh == "" || t.mayDefine(name) {
		return
	}
	for _, other := range t.docs {
		if other.res == nil && other.ref.Kind == r.to.Kind {
			return // its App Mesh name is not known
		}
	}
	t.report(d, CodeDangling, r.path, r.path, fmt.Sprintf("no %s of mesh %s has the App Mesh name %s", r.to.Kind, mesh, quote(name)),
		"define it here, also if it was another account's, or drop the reference")
}

// hint says what somebody may have meant who named what is not there.
func (t *linker) hint(missing Ref) string {
	if fix, ok := t.hints[missing]; ok {
		return fix
	}
	fix := "define it, or drop the reference"
	if len(t.hints) < maxHints {
		var near, elsewhere []string
		for _, d := range t.docs {
			switch {
			case d.ref.Kind != missing.Kind:
			case d.ref.Namespace == missing.Namespace:
				near = append(near, d.ref.Name)
			case d.ref.Name == missing.Name:
				elsewhere = append(elsewhere, d.ref.Namespace)
			}
		}
		slices.Sort(near)
		if asked := meant(missing.Name, near); asked != "" {
			fix = asked
		} else if len(elsewhere) > 0 {
			fix = "there is one in namespace " + elsewhere[0] + ": write namespace: " + elsewhere[0]
		}
	}
	t.hints[missing] = fix
	return fix
}

// maxHints is how many missing names of a tree are compared with those that
// are there, so that a tree of nothing but broken references costs little.
const maxHints = 20
