package schema

import (
	"cmp"
	"slices"
)

// The codes of files and documents that cannot be taken in.
const (
	// CodeFile: a file cannot be one of the spec's.
	CodeFile Code = "MW0001"
	// CodeSyntax: a file is not YAML, JSON or CUE.
	CodeSyntax Code = "MW0002"
	// CodeOldVersion: a document is of App Mesh's schema before v1beta2.
	CodeOldVersion Code = "MW0003"
	// CodeUnknownVersion: a document is of no version that exists.
	CodeUnknownVersion Code = "MW0004"
	// CodeUnknownKind: a document is of no kind that exists.
	CodeUnknownKind Code = "MW0005"
)

// The codes of mistakes of one document, found by its shape alone.
const (
	// CodeType: a value is of another type than its field.
	CodeType Code = "MW1001"
	// CodeRange: a number is too small or too large.
	CodeRange Code = "MW1002"
	// CodeChoice: a value is none of those that the field may have.
	CodeChoice Code = "MW1003"
	// CodeMissing: a required field is absent, or null.
	CodeMissing Code = "MW1004"
	// CodeUnknownField: the kind has no such field at this place.
	CodeUnknownField Code = "MW1005"
	// CodeDuplicateField: a field is written twice.
	CodeDuplicateField Code = "MW1006"
	// CodeConflict: fields are set that exclude each other.
	CodeConflict Code = "MW1007"
	// CodeNone: none of several fields is set, and one has to be.
	CodeNone Code = "MW1008"
	// CodeItems: a list has too few or too many items.
	CodeItems Code = "MW1009"
	// CodeLength: a string is too short or too long.
	CodeLength Code = "MW1010"
	// CodeForm: a string is not of the form that its field wants.
	CodeForm Code = "MW1011"
	// CodeNeeds: a field is set that needs another one.
	CodeNeeds Code = "MW1012"
	// CodeIgnored: a field is set that nothing reads.
	CodeIgnored Code = "MW1013"
)

// The codes of how documents belong together. Those of further rules are in
// check.go.
const (
	// CodeDuplicate: a kind, namespace and name is defined twice.
	CodeDuplicate Code = "MW2001"
	// CodeNoMesh: a resource belongs to no mesh.
	CodeNoMesh Code = "MW2002"
	// CodeTwoMeshes: two meshes select a namespace.
	CodeTwoMeshes Code = "MW2003"
	// CodeMeshRef: meshRef names another mesh than the one that selects.
	CodeMeshRef Code = "MW2004"
	// CodeDangling: a reference leads nowhere.
	CodeDangling Code = "MW2005"
	// CodeOtherMesh: a reference leads into another mesh.
	CodeOtherMesh Code = "MW2006"
	// CodeNoGateway: no virtual gateway selects a gateway route.
	CodeNoGateway Code = "MW2007"
	// CodeTwoGateways: two virtual gateways select a gateway route.
	CodeTwoGateways Code = "MW2008"
	// CodeGatewayRef: virtualGatewayRef names a gateway that does not select the route.
	CodeGatewayRef Code = "MW2009"
)

// CodeUnsupported: a field is good and set, and has no effect here. The
// translator finds these; the schema only names the code.
const CodeUnsupported Code = "MW3001"

// CodeUntranslatable: a spec that is good by the schema asks for what Envoy
// does not take.
const CodeUntranslatable Code = "MW3002"

// CodeDoc says in one line what a code means.
type CodeDoc struct {
	Code    Code
	Summary string
}

// codeDocs documents the codes above.
var codeDocs = []CodeDoc{
	{CodeFile, "a file cannot be one of the spec's"},
	{CodeSyntax, "a file or a part of it cannot be read"},
	{CodeOldVersion, "a document is of App Mesh's schema before v1beta2"},
	{CodeUnknownVersion, "a document is of no version that exists"},
	{CodeUnknownKind, "a document is of no kind that exists"},
	{CodeType, "a value is of another type than its field"},
	{CodeRange, "a number is too small or too large"},
	{CodeChoice, "a value is none of those that the field may have"},
	{CodeMissing, "a required field is missing or null"},
	{CodeUnknownField, "there is no such field at this place"},
	{CodeDuplicateField, "a field is written twice"},
	{CodeConflict, "fields are set that exclude each other"},
	{CodeNone, "none of several fields is set, and one has to be"},
	{CodeItems, "a list has too few or too many items"},
	{CodeLength, "a string is too short or too long"},
	{CodeForm, "a string is not of the form that its field wants"},
	{CodeNeeds, "a field is set that needs another one"},
	{CodeIgnored, "a field is set that nothing reads (a warning)"},
	{CodeDuplicate, "a resource is defined twice"},
	{CodeNoMesh, "a resource belongs to no mesh"},
	{CodeTwoMeshes, "two meshes select a namespace"},
	{CodeMeshRef, "meshRef names another mesh than the one that selects the namespace"},
	{CodeDangling, "a reference leads nowhere"},
	{CodeOtherMesh, "a reference leads into another mesh"},
	{CodeNoGateway, "no virtual gateway selects a gateway route"},
	{CodeTwoGateways, "two virtual gateways select a gateway route"},
	{CodeGatewayRef, "virtualGatewayRef names a gateway that does not select the route"},
	{CodeUnsupported, "a field has no effect here (a warning)"},
	{CodeUntranslatable, "a value that only Envoy refuses"},
}

// Codes lists every code of a diagnostic, in order.
func Codes() []CodeDoc {
	all := slices.Concat(codeDocs, cueCodes)
	for i := range checks {
		all = append(all, checks[i].CodeDoc)
	}
	slices.SortFunc(all, func(a, b CodeDoc) int { return cmp.Compare(a.Code, b.Code) })
	return all
}
