package schema

import "context"

// STUB: replaced by the real rules across documents.

type reference struct{}

func references(Resource) []reference { return nil }

func checkDocument(*document, func(Diagnostic)) {}

const (
	CodeFile           Code = "MW1014"
	CodeSyntax         Code = "MW1015"
	CodeOldVersion     Code = "MW1016"
	CodeUnknownKind    Code = "MW1017"
	CodeUnknownVersion Code = "MW1018"
)

// Evaluator STUB.
type Evaluator interface{}

// InProcess STUB.
type InProcess struct{}

type evaluation struct{ opaque bool }

func (l *Loader) evaluate(context.Context, []*file) (*parsed, error) { return &parsed{}, nil }

type linker struct {
	documents, foreign int
	opaque             bool
	docs               []*document
	diags              Diagnostics
}

func (t *linker) add(p *parsed) {
	t.docs = append(t.docs, p.docs...)
	t.documents += len(p.docs)
	t.foreign += p.foreign
	t.diags = append(t.diags, p.diags...)
	t.opaque = t.opaque || p.broken != ""
}

func (t *linker) link() (*Spec, Diagnostics) {
	s := NewSpec()
	mesh := ""
	for _, d := range t.docs {
		if d.ref.Kind == KindMesh {
			mesh = d.ref.Name
		}
	}
	for _, d := range t.docs {
		if d.res == nil {
			continue
		}
		m := d.res.meta()
		m.Mesh, m.Digest = mesh, d.content
		switch r := d.res.(type) {
		case *Mesh:
			s.Meshes[d.ref.Key] = r
		case *VirtualNode:
			s.VirtualNodes[d.ref.Key] = r
		case *VirtualService:
			s.VirtualServices[d.ref.Key] = r
		case *VirtualRouter:
			s.VirtualRouters[d.ref.Key] = r
		case *VirtualGateway:
			s.VirtualGateways[d.ref.Key] = r
		case *GatewayRoute:
			s.GatewayRoutes[d.ref.Key] = r
		case *BackendGroup:
			s.BackendGroups[d.ref.Key] = r
		}
	}
	s.link()
	return s, t.diags.Sorted()
}
