package schema

import (
	"cmp"
	"slices"
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

// CodeDoc says in one line what a code means.
type CodeDoc struct {
	Code    Code
	Summary string
}

// shapeCodes documents the codes above.
var shapeCodes = []CodeDoc{
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
}

// Codes lists every code of a diagnostic, in order.
func Codes() []CodeDoc {
	all := slices.Clone(shapeCodes)
	slices.SortFunc(all, func(a, b CodeDoc) int { return cmp.Compare(a.Code, b.Code) })
	return all
}
